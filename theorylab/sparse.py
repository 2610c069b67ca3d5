"""Sparse matrices, of SciPy and JAX: refused in one line by what works on dense arrays."""

from typing import Any

from theorylab.errors import InputError


def refuse_sparse(**arrays: Any) -> None:
    """Refuse sparse matrices, by the names of the arguments.

    Args:
        **arrays: arguments by their names.

    Raises:
        InputError: one of them is sparse.
    """
    for name, array in arrays.items():
        if is_sparse(array):
            raise InputError(
                f"{name} is sparse ({type(array).__name__}{list(array.shape)}); a dense array is "
                f"needed: {name}.toarray() (BCOO: todense()), or for many features the kernel "
                "X @ X.T in KernelRidgePath"
            )


def is_sparse(array: Any) -> bool:
    """Whether this is a sparse matrix of SciPy, JAX or what follows them."""
    return hasattr(array, "shape") and (hasattr(array, "nnz") or hasattr(array, "nse"))
