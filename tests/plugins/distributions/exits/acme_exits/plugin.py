from __future__ import annotations

import sys

sys.exit("this plugin thinks that it is a program")
