"""The pages of the app, by the section of the navigation that lists them."""

from typing import Any

PAGES: dict[str, list[dict[str, Any]]] = {
    "": [
        {
            "page": "views/overview/page.py",
            "url_path": "overview",
            "title": "Overview",
            "icon": ":material/home:",
            "help": "The open run and data, the run's metrics, and what to look at next.",
            "default": True,
        },
    ],
    "Labels": [
        {
            "page": "views/imbalance/page.py",
            "url_path": "imbalance",
            "title": "Imbalance",
            "icon": ":material/bar_chart:",
            "help": "Label frequencies: head and tail, and average precision per label.",
        },
        {
            "page": "views/correlation/page.py",
            "url_path": "correlation",
            "title": "Correlation",
            "icon": ":material/grid_on:",
            "help": "Label correlation: matrix, strongest pairs, and label processing.",
        },
    ],
    "Videos": [
        {
            "page": "views/videos/page.py",
            "url_path": "videos",
            "title": "Videos",
            "icon": ":material/video_library:",
            "help": "All videos in one table: filter by label, errors, quality or length.",
        },
        {
            "page": "views/map/page.py",
            "url_path": "map",
            "title": "Map",
            "icon": ":material/scatter_plot:",
            "help": "All videos in two dimensions, by their features or their scores.",
        },
        {
            "page": "views/predictions/page.py",
            "url_path": "predictions",
            "title": "Predictions",
            "icon": ":material/label:",
            "help": "Predicted labels of a video of the data set or of your own file.",
        },
        {
            "page": "views/attention/page.py",
            "url_path": "attention",
            "title": "Attention",
            "icon": ":material/show_chart:",
            "help": "Attention weights over the seconds of a video.",
        },
    ],
    "Runs": [
        {
            "page": "views/experiments/page.py",
            "url_path": "experiments",
            "title": "Experiments",
            "icon": ":material/science:",
            "help": "Comparison of all runs with each other and the paper, and ensembles.",
        },
    ],
}
