"""The commands of ``yt8m``, each a function whose arguments and docstring tyro makes options and help of."""
