"""OpenVINO without its converter of models, which reports each import to OpenVINO's makers.

The converter's package sends an event over the network, and writes an identifier of the user into
the home folder. Nothing here needs it. It can be imported afterwards.
"""

import sys

_CONVERTER = "openvino.tools.ovc"

_first = "openvino" not in sys.modules
if _first:
    sys.modules[_CONVERTER] = None  # Importing it raises an ImportError, which OpenVINO expects.
try:
    import openvino as ov
    from openvino import opset13 as op
finally:
    if _first:
        del sys.modules[_CONVERTER]

__all__ = ["op", "ov"]
