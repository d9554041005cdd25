"""Functions that score a Parquet file with the columns id and text with each engine, as in the documentation.

They use `workers` processes, and return a frame with id, text, label, score, proba_<class>, in any order.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

Run = Callable[[Any, Path, int], pd.DataFrame]


def in_one_process(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Score a frame without an engine, as a reference."""
    return scorer(pd.read_parquet(file))


def with_datasets(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Hugging Face datasets: `map`, in several processes with several workers."""
    import datasets

    table = datasets.Dataset.from_parquet(str(file), cache_dir=str(file.parent / "cache"))
    return table.map(scorer, batched=True, num_proc=workers if workers > 1 else None).to_pandas()


def with_dask(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Dask dataframe, in the threads of this process."""
    import dask.dataframe as dd

    frame = dd.from_pandas(pd.read_parquet(file), npartitions=4 * workers)
    return frame.map_partitions(scorer, meta=scorer(frame._meta)).compute(scheduler="threads")


def with_distributed(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Dask distributed: several worker processes, or one worker in this process."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=workers > 1,
        dashboard_address=None,
        local_directory=str(file.parent / "dask"),
    )
    with cluster, Client(cluster):
        frame = dd.from_pandas(pd.read_parquet(file), npartitions=8 * workers)
        return frame.map_partitions(scorer, meta=scorer(frame._meta)).compute()


def with_ray(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Ray Data: `map_batches` in a pool of actors."""
    import ray

    with ray_running(workers):
        texts = ray.data.read_parquet(str(file)).repartition(8 * workers)
        actors = ray.data.ActorPoolStrategy(size=workers)
        scored = texts.map_batches(
            type(scorer),
            fn_constructor_args=(scorer.folder,),
            fn_constructor_kwargs={"proba": scorer.proba},
            batch_size=1_024,
            compute=actors,
        )
        return scored.to_pandas()


@contextlib.contextmanager
def ray_running(workers: int) -> Iterator[None]:
    """Run ray on this machine, with the import path of this process."""
    import ray

    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    ray.init(
        num_cpus=workers + 1,
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        logging_level="error",
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def with_spark(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """Spark: `mapInPandas`."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.driver.host", "127.0.0.1")
    spark = builder.config("spark.ui.enabled", "false").config("spark.log.level", "ERROR").getOrCreate()
    try:
        texts = spark.read.parquet(str(file)).repartition(4 * workers)
        kind = "array<{}>" if scorer(pd.DataFrame({"text": [""]})).score.dtype == object else "{}"
        schema = f"id long, text string, label {kind.format('string')}, score {kind.format('float')}"
        names = [name for name in scorer({"text": []}) if name.startswith("proba_")]
        schema += "".join(f", `{name}` float" for name in names)
        return texts.mapInPandas(lambda frames: map(scorer, frames), schema).toPandas()
    finally:
        spark.stop()


MODEL_FROM_CODE = """
import mlflow
from smalltext_scale import BatchScorer


class Scorer(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.scorer = BatchScorer(context.artifacts["model"], proba=True)

    def predict(self, context, model_input, params=None):
        return self.scorer(model_input)


mlflow.models.set_model(Scorer())
"""


def with_mlflow(scorer: Any, file: Path, workers: int) -> pd.DataFrame:
    """MLflow: a pyfunc model from code, saved with the folder of the model and loaded from there."""
    import mlflow

    code, saved = file.parent / "scorer.py", file.parent / "pyfunc"
    code.write_text(MODEL_FROM_CODE, encoding="utf-8")
    mlflow.pyfunc.save_model(
        str(saved), python_model=str(code), artifacts={"model": scorer.folder}, pip_requirements=[]
    )
    return mlflow.pyfunc.load_model(str(saved)).predict(pd.read_parquet(file))


ENGINES: dict[str, tuple[str, Run]] = {
    "datasets": ("datasets", with_datasets),
    "dask": ("dask.dataframe", with_dask),
    "distributed": ("distributed", with_distributed),
    "ray": ("ray.data", with_ray),
    "spark": ("pyspark", with_spark),
    "mlflow": ("mlflow", with_mlflow),
}
"""For each engine, its module and its function."""
