"""One way to compile kernels: a decorator, and the machine instructions that numba has no name for.

Every kernel, also of views and extracts, is declared with ``kernel(signature)``: compiled for exactly that signature when its module is
imported (read-only and writable arrays alike are accepted where the signature says ``RO``), without the GIL, and kept in a folder
that follows the sources of all kernels (``kernel_cache``). So a helper or a constant may stand in another file than its kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, runtime
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from vault.genotypes.compute.kernel_cache import cache_folder, versions

F = TypeVar("F", bound=Callable[..., Any])

_config: Any = numba.config  # its attributes are made at run time
_njit: Any = numba.njit  # takes options that it does not declare
_Cache: Any = FunctionCache
_runtime: Any = runtime  # as above
_struct: Any = cgutils.create_struct_proxy


_FOLDER = cache_folder(versions())
if _FOLDER is not None:
    _config.CACHE_DIR = str(_FOLDER)


def RO(dtype: Any, ndim: int = 1) -> Any:  # noqa: N802 - reads as a type constructor in signatures
    """Type of a C-contiguous array that a kernel only reads; accepts read-only arrays (bytes, memory maps)."""
    return types.Array(dtype, ndim, "C", readonly=True)


def RW(dtype: Any, ndim: int = 1) -> Any:  # noqa: N802 - reads as a type constructor in signatures
    """Type of a C-contiguous array that a kernel writes."""
    return types.Array(dtype, ndim, "C")


def kernel(signature: Any) -> Callable[[F], F]:
    """Decorator: compile for ``signature`` now, or load it from the cache; the GIL is released while it runs."""

    def compiled(function: F) -> F:
        made: Any = _njit(nogil=True, boundscheck=False)(function)
        if _FOLDER is not None:
            made._cache = _CompiledKernels(function)  # noqa: SLF001 - what numba's own option ``cache`` sets, but for the class
        made.compile(signature)
        made.disable_compile()
        return made  # type: ignore[no-any-return]

    return compiled


class _CompiledKernels(_Cache):  # type: ignore[misc]
    """Numba's cache, asked before numba learns all that it can compile: a fifth of a second, of which a kernel that is there needs nothing."""

    _impl_class = FunctionCache._impl_class  # noqa: SLF001 - as of any class of numba's caches

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        _runtime.rtsys.initialize(target_context)  # what compiled code counts references with
        found = self._load_overload(sig, target_context)
        return super().load_overload(sig, target_context) if found is None else found


def helper(function: F) -> F:
    """Decorator: a function called by kernels only, inlined by LLVM where that pays."""
    decorated: Any = numba.njit(nogil=True, boundscheck=False)(function)
    return decorated  # type: ignore[no-any-return]


def bare_helper(function: F) -> F:
    """Decorator: a ``helper`` that makes no array and returns none, so that it need not count references to those that it is given.

    Counting is an atomic operation for each array at each call that is not inlined: in helpers of a line's fields it took more time than they did.
    """
    decorated: Any = _njit(nogil=True, boundscheck=False, _nrt=False)(function)
    return decorated  # type: ignore[no-any-return]


def _load_u64(_typing: Any, array: Any, offset: Any) -> Any:
    """``load_u64(uint8[], offset)``: 8 bytes from a byte offset, little-endian, no alignment needed, no bounds check."""
    signature = types.uint64(array, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = _struct(sig.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        wide = builder.bitcast(pointer, ir.IntType(64).as_pointer())
        loaded = builder.load(wide)
        loaded.align = 1
        return loaded

    _ = offset
    return signature, generate


def _store_u64(_typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """``store_u64(uint8[], offset, value)``: the reverse of ``load_u64``."""
    signature = types.void(array, types.int64, types.uint64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = _struct(sig.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        wide = builder.bitcast(pointer, ir.IntType(64).as_pointer())
        stored = builder.store(args[2], wide)
        stored.align = 1
        return context.get_dummy_value()

    _ = (offset, value)
    return signature, generate


def _store_u32(_typing: Any, array: Any, offset: Any, value: Any) -> Any:
    """``store_u32(uint8[], offset, value)``: 4 bytes, little-endian, no alignment needed, no bounds check."""
    signature = types.void(array, types.int64, types.uint32)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = _struct(sig.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        wide = builder.bitcast(pointer, ir.IntType(32).as_pointer())
        stored = builder.store(args[2], wide)
        stored.align = 1
        return context.get_dummy_value()

    _ = (offset, value)
    return signature, generate


def _popcount(_typing: Any, word: Any) -> Any:
    """``popcount(uint64) -> int64``: number of ones."""
    signature = types.int64(types.uint64)

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    _ = word
    return signature, generate


def _trailing_zeros(_typing: Any, word: Any) -> Any:
    """``trailing_zeros(uint64) -> int64``: index of the lowest one; 64 for zero."""
    signature = types.int64(types.uint64)

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    _ = word
    return signature, generate


_VECTOR = 64  # bytes that a mask is over
_BYTES = ir.VectorType(ir.IntType(8), _VECTOR)


def _load_vector(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    data = _struct(sig.args[0])(context, builder, args[0]).data
    wide = builder.bitcast(builder.gep(data, [args[1]]), _BYTES.as_pointer())
    loaded = builder.load(wide)
    loaded.align = 1
    return loaded


def _repeat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with the value in every lane."""
    shape = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(shape, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    same = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(shape, ir.Undefined), same)


def _mask(builder: Any, relation: str, left: Any, right: Any) -> Any:
    return builder.bitcast(builder.icmp_unsigned(relation, left, right), ir.IntType(_VECTOR))


def _masks_apart(_typing: Any, array: Any, offset: Any, pattern: Any) -> Any:
    """``masks_apart(uint8[], offset, uint32) -> (uint64, uint64)``: 64 bytes from a byte offset XOR the four of the pattern, repeated:
    which of them are not 0, and which are above 1.
    """
    pair: Any = types.UniTuple(types.uint64, 2)  # type: ignore[no-untyped-call]
    signature = pair(array, types.int64, types.uint32)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        repeated = builder.bitcast(_repeat(builder, args[2], _VECTOR // 4), _BYTES)
        apart = builder.xor(_load_vector(context, builder, sig, args), repeated)
        masks = [
            _mask(builder, relation, apart, ir.Constant(_BYTES, [value] * _VECTOR)) for relation, value in (("!=", 0), (">", 1))
        ]
        return context.make_tuple(builder, sig.return_type, masks)

    _ = (offset, pattern)
    return signature, generate


def _mask_equal(_typing: Any, array: Any, offset: Any, byte: Any) -> Any:
    """``mask_equal(uint8[], offset, uint8) -> uint64``: which of the 64 bytes from a byte offset are this one."""
    signature = types.uint64(array, types.int64, types.uint8)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _mask(builder, "==", _load_vector(context, builder, sig, args), _repeat(builder, args[2], _VECTOR))

    _ = (offset, byte)
    return signature, generate


def _mask_below(_typing: Any, array: Any, offset: Any, byte: Any) -> Any:
    """``mask_below(uint8[], offset, uint8) -> uint64``: which of the 64 bytes from a byte offset are smaller."""
    signature = types.uint64(array, types.int64, types.uint8)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _mask(builder, "<", _load_vector(context, builder, sig, args), _repeat(builder, args[2], _VECTOR))

    _ = (offset, byte)
    return signature, generate


load_u64: Any = intrinsic(_load_u64)
masks_apart: Any = intrinsic(_masks_apart)
mask_equal: Any = intrinsic(_mask_equal)
mask_below: Any = intrinsic(_mask_below)
store_u64: Any = intrinsic(_store_u64)
store_u32: Any = intrinsic(_store_u32)
popcount: Any = intrinsic(_popcount)
trailing_zeros: Any = intrinsic(_trailing_zeros)
