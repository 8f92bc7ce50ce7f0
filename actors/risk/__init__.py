"""Risk: says yes or no to every intent, and latches the desk's mode. The only maker of an `ApprovedOrder`."""
