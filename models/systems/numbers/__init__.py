"""Numbers that a recording holds beside its signal, read from sliding windows: grip force from ECoG and LFP."""
