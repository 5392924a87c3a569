"""The version of Atoll: hub and sites tell it to each other."""

VERSION = "0.1.0"
