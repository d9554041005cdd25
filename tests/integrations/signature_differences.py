"""How our classes and functions differ from those of small-text, and what the migration page says of it."""

from __future__ import annotations

SHARED = "are shared between calls | None, which means the same"
OWN_FORM = "tuples of tensors and labels | `x` and `y` as for every dataset"
NETWORK = (
    "is built from its embedding matrix: `KimCNN(embedding_matrix, num_classes, ...)`, everything else by keyword"
)
STEPS = "Internal methods that were public there do not exist"
TO_TEXTS = "`data`, `vocab`, `to`, `INDEX_TEXT`, `INDEX_MASK`, `INDEX_LABEL`, `NO_LABEL` | `x`, `vocabulary`"
BAR = "`pbar` of `embed` can also be passed by position | it is keyword-only"
LABELS = "`list_to_csr(label_list, shape, dtype)` | `list_to_csr(labels, shape)` works"
SELECTION = "immutable defaults with the same content; `metrics` are listed in another order, which has no effect"

ALL_METRICS = "Metric(val_loss), Metric(val_acc), Metric(train_loss), Metric(train_acc)"
OUR_METRICS = "Metric(train_loss), Metric(train_acc), Metric(val_loss), Metric(val_acc)"

DIFFERENCES = {
    "Dataset.x cannot be set": "`x` can be set | `x` cannot be set, since views share it",
    "EarlyStopping.add_to_history is missing": "`add_to_history` does not exist: `classifier.history_`",
    "KimCNN takes num_classes, embedding_matrix in another order": NETWORK,
    "KimCNN(dropout) is keyword-only": NETWORK,
    "KimCNN(embed_dim) is missing": "`vocabulary_size` and `embed_dim` are the matrix's shape",
    "KimCNN(embedding_matrix=None) is required here": NETWORK,
    "KimCNN(freeze_embedding_layer) is missing": "`freeze_embedding_layer` is `static`",
    "KimCNN(kernel_heights=[3, 4, 5]) is (3, 4, 5) here": "`(3, 4, 5)` instead of `[3, 4, 5]`",
    "KimCNN(kernel_heights) is keyword-only": NETWORK,
    "KimCNN(max_seq_length) is missing": "`max_seq_length` is `max_seq_len`",
    "KimCNN(num_classes=2) is required here": NETWORK,
    "KimCNN(out_channels) is keyword-only": NETWORK,
    "KimCNN(padding_idx) is keyword-only": NETWORK,
    "KimCNN(vocabulary_size) is missing": "`vocabulary_size` and `embed_dim` are the matrix's shape",
    "KimCNN.forward(x) is called ids": "its `forward` takes `ids`, not `x`",
    "KimCNNClassifier(kernel_heights=[3, 4, 5]) is (3, 4, 5) here": ("`(3, 4, 5)` instead of `[3, 4, 5]`"),
    "KimCNNClassifier.EMBEDDING_METHOD_GRADIENT is missing": "`EMBEDDING_METHOD_GRADIENT` are the strings",
    "KimCNNClassifier.EMBEDDING_METHOD_POOLED is missing": "`EMBEDDING_METHOD_POOLED` and",
    "KimCNNClassifier.create_embedding is missing": STEPS,
    "KimCNNClassifier.embed(module_selector) is missing": "`module_selector` is not accepted",
    "KimCNNClassifier.embed(pbar) is keyword-only": BAR,
    "KimCNNClassifier.get_best_and_softmax is missing": STEPS,
    "KimCNNClassifier.initialize_class_weights is missing": STEPS,
    "KimCNNClassifier.initialize_kimcnn_model is missing": STEPS,
    "KimCNNClassifier.sum_up_accuracy_ is missing": STEPS,
    "KimCNNFactory(kwargs={}) is None here": SHARED,
    "ModelSelection(default_select_by=['val_loss', 'val_acc']) is ('val_loss', 'val_acc') here": (SELECTION),
    "ModelSelection(fields_config={}) is None here": SELECTION,
    f"ModelSelection(metrics=[{ALL_METRICS}]) is ({OUR_METRICS}) here": SELECTION,
    "ModelSelection(required=['val_loss', 'val_acc']) is ('val_loss', 'val_acc') here": SELECTION,
    "ModelSelection.DEFAULT_DEFAULT_SELECT_BY is missing": "`DEFAULT_DEFAULT_SELECT_BY` | do not exist",
    "ModelSelection.DEFAULT_METRICS is missing": "`DEFAULT_METRICS`",
    "ModelSelection.DEFAULT_REQUIRED_METRIC_NAMES is missing": "`DEFAULT_REQUIRED_METRIC_NAMES`",
    "ModelSelection.FIELD_NAME_EARLY_STOPPING is missing": "`FIELD_NAME_EARLY_STOPPING`",
    "ModelSelection.add_model(fields={}) is None here": SHARED,
    "ModelSelectionResult(fields={}) is <factory> here": SHARED,
    "NoopModelSelection.add_model(fields={}) is None here": SHARED,
    "NoopModelSelection.add_model(step) is missing": "`NoopModelSelection.add_model` | takes no `step`",
    "PytorchTextClassificationDataset(data) is called x": OWN_FORM,
    "PytorchTextClassificationDataset(multi_label) is missing": "`y` determines whether it is multi-label",
    "PytorchTextClassificationDataset(vocab) is called y": "`vocabulary=` by keyword",
    "PytorchTextClassificationDataset.INDEX_LABEL is missing": TO_TEXTS,
    "PytorchTextClassificationDataset.INDEX_TEXT is missing": TO_TEXTS,
    "PytorchTextClassificationDataset.data is missing": TO_TEXTS,
    "PytorchTextClassificationDataset.from_arrays is missing": "`PytorchTextClassificationDataset.from_arrays(",
    "PytorchTextClassificationDataset.to is missing": TO_TEXTS,
    "PytorchTextClassificationDataset.vocab is missing": TO_TEXTS,
    "PytorchTextClassificationDataset.x cannot be set": "`x` cannot be set",
    "SetFitClassification(model_kwargs={}) is None here": SHARED,
    "SetFitClassification(trainer_kwargs={}) is None here": SHARED,
    "SetFitClassification.embed(pbar) is keyword-only": BAR,
    "SetFitClassification.fit(setfit_train_kwargs={}) is None here": SHARED,
    "SetFitClassification.validate(_validation_set) is called validation_set": "not `_validation_set`",
    "SetFitClassificationFactory(classification_kwargs={}) is None here": SHARED,
    "SklearnClassifierFactory(kwargs={}) is None here": SHARED,
    "SklearnDataset(y) is None here": "`y` is required | None, the default",
    "SklearnDataset.from_arrays is missing": "`SklearnDataset.from_arrays(",
    "SklearnDataset.x cannot be set": "`x` cannot be set",
    "TextDataset(y) is None here": "`y` is required | None, the default",
    "TextDataset.from_arrays is missing": "`TextDataset.from_arrays(",
    "TextDataset.x cannot be set": "`x` cannot be set",
    "TransformerBasedClassification(cache_dir='.active_learning_lib_cache/') is None here": (
        "`cache_dir` | None, the cache of transformers, instead of `'.active_learning_lib_cache/'`"
    ),
    "TransformerBasedClassification.EMBEDDING_METHOD_AVG is missing": "`EMBEDDING_METHOD_AVG`",
    "TransformerBasedClassification.EMBEDDING_METHOD_CLS_TOKEN is missing": "`EMBEDDING_METHOD_CLS_TOKEN`",
    "TransformerBasedClassification.embed(pbar) is keyword-only": BAR,
    "TransformerBasedClassification.initialize_class_weights is missing": "`initialize_class_weights`",
    "TransformerBasedClassification.initialize_transformer is missing": "`initialize_transformer`",
    "TransformerBasedClassification.sum_up_accuracy_ is missing": "`sum_up_accuracy_`",
    "TransformerBasedClassificationFactory(kwargs={}) is None here": SHARED,
    "TransformersDataset(data) is called x": OWN_FORM,
    "TransformersDataset(multi_label) is called y": "`y` determines whether it is multi-label",
    "TransformersDataset.INDEX_LABEL is missing": TO_TEXTS,
    "TransformersDataset.INDEX_MASK is missing": TO_TEXTS,
    "TransformersDataset.INDEX_TEXT is missing": TO_TEXTS,
    "TransformersDataset.NO_LABEL is missing": TO_TEXTS,
    "TransformersDataset.data is missing": TO_TEXTS,
    "TransformersDataset.from_arrays is missing": "`TransformersDataset.from_arrays(",
    "TransformersDataset.to is missing": TO_TEXTS,
    "TransformersDataset.x cannot be set": "`x` cannot be set",
    "csr_to_list(mat) is called y": "`csr_to_list(mat)` | `csr_to_list(y)`",
    "list_to_csr(dtype) is missing": LABELS,
    "list_to_csr(label_list) is called labels": LABELS,
    "list_to_csr(num_classes) is new, before keyword-only parameters": LABELS,
    "list_to_csr(shape) is None here": "`shape=` by keyword",
    "list_to_csr(shape) is keyword-only": "`list_to_csr(labels, shape)` works",
}
"""Every difference, and what the page says of it, which is also where the reason is."""

REPLACED = frozenset(
    (
        "AbstractClassifierFactory",
        "ConfidenceEnhancedLinearSVC",
        "DatasetView",
        "EmbeddingMixin",
        "KimCNNEmbeddingMixin",
        "MissingOptionalDependencyError",
        "ModelSelectionManager",
        "PytorchClassifier",
        "PytorchDataset",
        "PytorchDatasetView",
        "PytorchModelSelectionMixin",
        "PytorchNotFoundError",
        "PytorchTextClassificationDatasetView",
        "SetFitClassificationEmbeddingMixin",
        "SklearnDatasetView",
        "TMP_DIR_VARIABLE",
        "TextDatasetView",
        "TransformerBasedEmbeddingMixin",
        "TransformersDatasetView",
        "UnsupportedOperationException",
        "VerbosityLogger",
        "check_training_data",
        "get_splits",
        "get_tmp_dir_base",
        "list_length",
        "split_data",
        "verbosity_logger",
    )
)
"""Names of small-text's classifiers that have another name here, or none; the page says which."""

OF_ACTIVE_LEARNING = ("active_learner", "initialization", "query_strategies", "stopping_criteria", "exceptions")
"""Modules of small-text whose names stay in small-text."""

OTHER_FUNCTIONS = frozenset(
    (
        "balanced_sampling",
        "build_pbar_context",
        "check_dataset_and_labels",
        "check_optional_dependency",
        "check_size",
        "check_target_labels",
        "empty_result",
        "get_num_labels",
        "get_updated_target_labels",
        "get_version",
        "init_kmeans_plusplus_safe",
        "is_multi_label",
        "is_pytorch_available",
        "is_transformers_available",
        "kimcnn_collate_fn",
        "multilabel_stratified_subsets_sampling",
        "prediction_result",
        "select",
        "stratified_sampling",
        "transformers_collate_fn",
        "DeprecationError",
        "ExperimentalWarning",
        "NullProgressBar",
        "OPTIONAL_DEPENDENCIES",
        "ClassificationType",
    )
)
"""Names of its modules for its own use: "other functions of its modules", as the page has it."""
