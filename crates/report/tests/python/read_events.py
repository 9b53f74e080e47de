"""Prints what TensorBoard reads in the event files of a folder, as JSON.

    read_events.py FOLDER
"""

import json
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.plugins.hparams import metadata

folder = sys.argv[1]
old = event_accumulator.EventAccumulator(folder)
old.Reload()
new = plugin_event_accumulator.EventAccumulator(folder)
new.Reload()

start = new.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
start = metadata.parse_session_start_info_plugin_data(start)


def value(of):
    return getattr(of, of.WhichOneof("kind"))


def strings(tag):
    return [[event.step, list(event.tensor_proto.string_val)] for event in new.Tensors(tag)]


print(json.dumps({
    "scalars": {
        tag: [[event.step, event.value] for event in old.Scalars(tag)] for tag in old.Tags()["scalars"]
    },
    "about": new.SummaryMetadata("train/loss").summary_description,
    "text": [[step, text[0].decode()] for step, text in strings("config")],
    "images": [[step, size[0].decode(), size[1].decode(), png[:4].hex()] for step, (*size, png) in strings("data/crops")],
    "hyperparameters": {name: value(of) for name, of in start.hparams.items()},
}))
