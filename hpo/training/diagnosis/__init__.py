"""What a training shows of its own trouble: probes of a model, rules on them and on learning curves."""
