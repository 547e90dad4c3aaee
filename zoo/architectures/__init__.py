"""The networks that released weights need, with the parameter names that OpenMixup wrote."""
