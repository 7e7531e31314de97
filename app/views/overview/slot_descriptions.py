"""What each slot is for, and what each of its methods does."""

from yt8m_core.experiment import Experiment

SLOT_PURPOSES = {
    "fusion": "combines visual and audio features per second",
    "pooling": "reduces the seconds of a video to one vector",
    "classification": "maps the vector to a probability per label",
    "label_processing": "corrects the probabilities by label correlation",
    "loss": "minimized in training",
}
METHOD_EFFECTS = {
    "fusion": {
        "concat": "concatenates visual and audio features",
        "compact_bilinear": "approximates the outer product of visual and audio features",
    },
    "pooling": {
        "none": "is skipped: the classification reads the seconds",
        "mean": "averages the seconds",
        "sum": "adds up the seconds",
        "lstm": "reads the seconds in order with a recurrent network",
        "cnn": "detects patterns in neighboring seconds with a convolution",
        "position_encoding": "weights the features of a second by its position",
        "indirect_clustering": "weights seconds by their similarity to all others, which favors the main scene",
        "largest_cluster": "clusters the seconds and averages the largest cluster",
        "adaptive_noise": "adds noise in training, more for videos with rare labels",
        "attention": "learns a weight per second",
        "netvlad": "assigns seconds to learned clusters and describes each by its residuals",
    },
    "classification": {
        "logistic": "is a logistic regression per label",
        "moe": "mixes the predictions of several experts per label, weighted by a gate",
        "mlp": "is a multi-layer perceptron with hidden layers shared by all labels",
        "two_layer_moe": "is a mixture of experts on a hidden layer",
        "many_to_many": "scores every second with a recurrent network and averages the scores",
    },
    "label_processing": {
        "identity": "leaves the probabilities unchanged",
        "correlation": "adds to each label the weighted scores of correlated labels",
        "context_gating": "learns a gate per label from the scores of all labels",
        "chain": "corrects the scores with a second network that sees the video and all scores",
        "label_graph": "adds to each label the scores of the labels that predict it, over learned edges",
        "label_queries": "corrects the scores with queries, one per group of labels, that attend to the video",
    },
    "loss": {
        "cross_entropy": "is the cross entropy: confident mistakes cost the most",
        "pseudo_huber": "is the pseudo-Huber loss, which is less sensitive to wrong labels in the data",
        "center": "also pulls videos of one label together",
        "focal": "is a cross entropy that weights easy examples less",
        "asymmetric": "is a focal loss that focuses absent labels more than present ones",
        "class_balanced": "is a cross entropy that weights rare labels more",
        "logit_adjusted": "is a cross entropy that asks for larger margins of rare labels",
        "distribution_balanced": "weights labels by their rarity among those of a video, and tolerates absent ones",
        "hill": "is robust to missing labels: absent labels with high scores count less",
    },
}


def describe_slots(experiment: Experiment) -> list[tuple[str, str, str, str]]:
    """Return slot, purpose, method with options, and effect, for each slot in the order of the data flow."""
    methods = {slot: getattr(experiment, slot) for slot in SLOT_PURPOSES}
    return [
        (slot, SLOT_PURPOSES[slot], str(method), METHOD_EFFECTS[slot].get(method.name, "is a custom method"))
        for slot, method in methods.items()
        if slot != "fusion" or method.name != "concat"
    ]
