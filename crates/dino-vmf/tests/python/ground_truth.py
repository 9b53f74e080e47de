"""Writes small ground truths in the form of revisited Oxford and Paris.

    python ground_truth.py

writes ground_truth_2.pkl and ground_truth_4.pkl beside it, by both protocols that such files have. Made with Python 3
and NumPy.
"""

import pickle
from pathlib import Path

import numpy as np

TRUTH = {
    "imlist": [f"image_{i}" for i in range(300)],
    "qimlist": ["query_0", "query_1"],
    "gnd": [
        {"bbx": [1.5, 2, np.float64(30.25), 40.0], "easy": np.array([0, 299]), "hard": np.array([], dtype=int), "junk": [128]},
        {"easy": [1, 2], "hard": np.array([250], dtype=np.uint8), "junk": np.array([3], dtype=np.int32)},
    ],
}
for protocol in [2, 4]:
    path = Path(__file__).with_name(f"ground_truth_{protocol}.pkl")
    path.write_bytes(pickle.dumps(TRUTH, protocol=protocol))
