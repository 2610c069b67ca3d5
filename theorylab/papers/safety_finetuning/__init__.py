"""What Makes and Breaks Safety Fine-tuning? A Mechanistic Study (Jain et al. 2024)."""

from theorylab.lab import Paper
from theorylab.papers.safety_finetuning.claims import CLAIMS
from theorylab.papers.safety_finetuning.experiments import EXPERIMENTS
from theorylab.papers.safety_finetuning.figures import FIGURES
from theorylab.papers.safety_finetuning.presets import PRESETS

PAPER = Paper(
    slug="safety_finetuning",
    title="What Makes and Breaks Safety Fine-tuning? A Mechanistic Study",
    authors=(
        "Samyak Jain, Ekdeep Singh Lubana, Kemal Oksuz, Tom Joy, Philip H. S. Torr, Amartya "
        "Sanyal, Puneet K. Dokania"
    ),
    venue="NeurIPS 2024",
    arxiv="2407.10264",
    summary=(
        "What safety fine-tuning changes inside a model: a small change of weights that moves "
        "unsafe prompts to a cluster of their own. Inputs that break it look like safe prompts to "
        "that change. Here on abstract tokens, where unsafe is a label on pairs of an operator "
        "and a kind of text."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
