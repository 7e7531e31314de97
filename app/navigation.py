"""The pages of the app, in the order of the navigation."""

from typing import Any

# Without sections: Streamlit marks them up in a way that screen readers do not read as a list.
PAGES: list[dict[str, Any]] = [
    {
        "page": "views/overview/page.py",
        "url_path": "start",  # unused: the address of the default page is "/"
        "title": "Overview",
        "icon": ":material/home:",
        "help": "The open run and data, the run's metrics, and what to look at next.",
        "default": True,
    },
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
    {
        "page": "views/label/page.py",
        "url_path": "label",
        "title": "Label",
        "icon": ":material/sell:",
        "help": "One label: precision, confusions, correlated labels, and its hardest videos.",
    },
    {
        "page": "views/calibration/page.py",
        "url_path": "calibration",
        "title": "Calibration",
        "icon": ":material/target:",
        "help": "How often predicted labels are true, and thresholds per label.",
    },
    {
        "page": "views/label_issues/page.py",
        "url_path": "label-issues",
        "title": "Label issues",
        "icon": ":material/rule:",
        "help": "Labels that videos probably lack, to accept or reject.",
    },
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
    {
        "page": "views/data_checks/page.py",
        "url_path": "data-checks",
        "title": "Data checks",
        "icon": ":material/fact_check:",
        "help": "What the data set holds, its faults, and videos that the run was trained on.",
    },
    {
        "page": "views/compare/page.py",
        "url_path": "compare",
        "title": "Compare",
        "icon": ":material/compare_arrows:",
        "help": "Two runs on the same videos: difference in GAP, by label and by video.",
    },
    {
        "page": "views/experiments/page.py",
        "url_path": "experiments",
        "title": "Experiments",
        "icon": ":material/science:",
        "help": "Comparison of all runs with each other and the paper, and ensembles.",
    },
]
