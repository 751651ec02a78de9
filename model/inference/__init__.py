"""A trained network as the pipeline runs it: loaded, folded, in batches, in one precision."""
