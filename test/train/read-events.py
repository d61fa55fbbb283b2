# Reads a folder of event files with TensorBoard itself and prints what it understood as JSON.
import io
import json
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={name: 0 for name in ("scalars", "images", "histograms", "tensors")})
events.Reload()
tags = events.Tags()


def histogram(event):
    h = event.histogram_value
    return [event.step, h.min, h.max, h.num, h.sum, h.sum_squares, list(h.bucket_limit), list(h.bucket)]


print(
    json.dumps(
        {
            "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
            "images": {
                tag: [[e.step, e.width, e.height, len(e.encoded_image_string)] for e in events.Images(tag)]
                for tag in tags["images"]
            },
            "histograms": {tag: [histogram(e) for e in events.Histograms(tag)] for tag in tags["histograms"]},
            "texts": {
                tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)]
                for tag in tags["tensors"]
            },
            "text plugin": sorted(events.PluginTagToContent("text")) if tags["tensors"] else [],
        }
    )
)
