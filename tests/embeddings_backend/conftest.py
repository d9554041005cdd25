import pytest

from embeddings_backend.tiny_encoders import write_static_model


@pytest.fixture(scope="session")
def static_model(tmp_path_factory):
    return write_static_model(tmp_path_factory.mktemp("static") / "model")
