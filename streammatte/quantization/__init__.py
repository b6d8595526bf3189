"""int8 engines: calibration facts, and the Q/DQ network made from them."""
