"""Differential privacy: what a private algorithm costs, and whether it is as private as it says.

theorylab.privacy.online      # private online learning: mistakes, adversaries, exact audits
theorylab.privacy.renyi       # Rényi and zCDP curves of mechanisms, conversion to (epsilon, delta)
theorylab.privacy.smooth      # what a mechanism costs when all records move a little
theorylab.privacy.meta_theorem          # both together: the cost behind a pre-processing
theorylab.privacy.preprocessing         # imputation, clusters, principal directions, scales
theorylab.privacy.sensitivity           # how far they move the other records
theorylab.privacy.worst_case            # searches for data sets that come close to these bounds
theorylab.privacy.worst_case_neighbour  # the worst neighbour of a data set that is given
theorylab.privacy.propose_test_release  # guarantees without a promise about the data
theorylab.privacy.naive_accounting      # accounting that forgets the pre-processing, refuted
theorylab.privacy.pillar                # public directions, and what they leave of a margin
theorylab.privacy.subspace_bounds       # how far directions of samples are off, and rates
theorylab.privacy.large_margin          # distributions with a margin, a counter-example among them
theorylab.privacy.estimators            # a private classifier for scikit-learn
theorylab.privacy.pipelines             # private learners to put behind a pre-processing
theorylab.privacy.dp_sgd      # private descent, calibrated noise, baselines, end-to-end audits
theorylab.privacy.private_pipeline      # both as one thing: what it costs, and how it is run
theorylab.privacy.calibration           # the noise that a wanted guarantee asks for
theorylab.privacy.divergences           # exact divergences that bounds are held to

Import these by name, `from theorylab.privacy import smooth`.
"""

from theorylab.privacy import online

__all__ = ["online"]
