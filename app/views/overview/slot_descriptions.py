"""The line of slots in plain words: what each slot is for, and what each method does there."""

from yt8m_core.experiment import Experiment

SLOT_WORDS = {
    "fusion": "picture and sound become one vector a second",
    "pooling": "all seconds of a video become one vector",
    "classification": "the vector becomes a probability for each label",
    "label_processing": "the probabilities are corrected by which labels go together",
    "loss": "what the training makes small",
}
METHOD_WORDS = {
    "fusion": {
        "concat": "puts picture and sound side by side",
        "compact_bilinear": "multiplies every feature of the picture with every one of the sound, squeezed",
    },
    "pooling": {
        "none": "is left out: the classification reads the seconds itself",
        "mean": "takes the mean of all seconds",
        "sum": "adds up all seconds",
        "lstm": "reads the seconds in order and remembers what matters (a recurrent network)",
        "cnn": "looks for patterns in neighboring seconds (a convolution)",
        "position_encoding": "weighs the features of a second by where in the video it stands",
        "indirect_clustering": "counts those seconds most that look like many others: the main scene",
        "largest_cluster": "sorts the seconds into clusters and keeps the largest",
        "adaptive_noise": "adds noise in training, more for videos with rare labels",
        "attention": "learns which seconds to weigh most",
        "netvlad": "sorts the seconds by learned visual words and describes each",
    },
    "classification": {
        "logistic": "asks one question a label (logistic regression)",
        "moe": "lets several experts a label vote, weighed by a gate (mixture of experts)",
        "mlp": "takes the vector through hidden layers that all labels share (a multi-layer perceptron)",
        "two_layer_moe": "is a mixture of experts with a hidden layer before it",
        "many_to_many": "scores every second by a recurrent network and takes the mean",
    },
    "label_processing": {
        "identity": "changes nothing",
        "correlation": "adds to each label what the labels that go with it say",
        "context_gating": "learns which labels to turn down, given all others",
    },
    "loss": {
        "cross_entropy": "is the cross entropy: the surer a mistake, the dearer",
        "pseudo_huber": "is the pseudo-Huber loss, which a wrong label in the data moves less",
        "center": "also pulls the videos of one label together",
    },
}


def line_in_words(experiment: Experiment) -> list[tuple[str, str, str, str]]:
    """Each slot of an experiment: its name, what it is for, the method as it is written, and what that does."""
    slots = {slot: getattr(experiment, slot) for slot in SLOT_WORDS}
    return [
        (slot, SLOT_WORDS[slot], str(method), METHOD_WORDS[slot].get(method.name, "is a method of your own"))
        for slot, method in slots.items()
        if slot != "fusion" or method.name != "concat"
    ]
