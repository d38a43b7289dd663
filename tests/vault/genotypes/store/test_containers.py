from __future__ import annotations

from dataclasses import replace

import pytest

from tests.vault.genotypes.chunks import fixed_random
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.genotypes.store.block_access import GroupAccess
from vault.genotypes.store.containers import ContainerRef, open_blocks, open_lengths, seal_container

random = fixed_random("containers")
VAULT, DATASET, PART = (random(16) for _ in range(3))
LENGTH_KEY_ID, LENGTH_KEY = random(16), Secret(random(32))
KEYS = [random(32) for _ in range(9)]
PAYLOADS = [bytes([i]) * (3 + 5 * i) for i in range(9)]


def seal(payloads=PAYLOADS, keys=KEYS, *, chunk=3, group=1, vault_id=VAULT):
    return seal_container(
        keys,
        payloads,
        vault_id=vault_id,
        dataset_id=DATASET,
        part_id=PART,
        chunk=chunk,
        group=group,
        length_key_id=LENGTH_KEY_ID,
        length_key=LENGTH_KEY,
        random=random,
    )


def reader(data: bytes, log: list | None = None):
    def read(offset, length):
        if log is not None:
            log.append((offset, length))
        return data[offset : offset + length]

    return read


def opened(data: bytes, ref: ContainerRef, slots=range(9), keys=KEYS):
    blocks, lengths = open_blocks(ref, reader(data), LENGTH_KEY, wanted(slots, keys))
    assert lengths.tolist() == list(map(len, blocks))
    return blocks


def wanted(slots, keys=KEYS):
    return GroupAccess.from_slots(1, list(slots), [keys[slot] for slot in slots])


def assert_broken(data: bytes, ref: ContainerRef, slots=range(9), keys=KEYS):
    with pytest.raises(IntegrityError) as broken:
        opened(data, ref, slots, keys)
    assert broken.value.code == "block_broken"
    assert f"chunk {ref.chunk}, group {ref.group}" in broken.value.message


def test_blocks_come_back_whole_and_by_choice():
    data, ref = seal()
    assert opened(data, ref) == PAYLOADS
    assert opened(data, ref, [0]) == PAYLOADS[:1]
    assert opened(data, ref, [2, 8]) == [PAYLOADS[2], PAYLOADS[8]]
    assert opened(data, ref, []) == []
    assert (ref.total_bytes, ref.n_slots) == (len(data), 9)


def test_large_blocks_come_back():
    payloads = [bytes([i]) * 70_000 for i in range(9)]
    data, ref = seal(payloads)
    assert opened(data, ref) == payloads
    assert opened(data, ref, [1, 5]) == [payloads[1], payloads[5]]


def test_reads_are_few_and_contiguous():
    payloads = [bytes([i]) * 70_000 for i in range(9)]
    data, ref = seal(payloads)
    log: list = []
    open_blocks(ref, reader(data, log), LENGTH_KEY, wanted(range(9)))
    assert log == [(0, len(data))]
    log.clear()
    open_blocks(ref, reader(data, log), LENGTH_KEY, wanted([4]))
    assert len(log) == 2
    assert sum(size for _, size in log) < 71_000
    log.clear()
    start = open_lengths(ref, data[: ref.header_bytes], LENGTH_KEY)
    open_blocks(ref, reader(data, log), LENGTH_KEY, wanted([1, 2, 8]), start=start)
    assert len(log) == 2


def test_every_flipped_byte_is_noticed():
    data, ref = seal()
    for at in range(len(data)):
        altered = bytearray(data)
        altered[at] ^= 1 << (at % 8)
        assert_broken(bytes(altered), ref)


def test_every_truncation_is_noticed():
    data, ref = seal()
    for size in range(len(data)):
        assert_broken(data[:size], ref)


def test_two_subjects_blocks_swapped_are_noticed():
    same_size = [bytes([i]) * 20 for i in range(9)]
    data, ref = seal(same_size)
    start = open_lengths(ref, data[: ref.header_bytes], LENGTH_KEY).tolist()
    two, three, four = (slice(start[i], start[i + 1]) for i in (2, 3, 4))
    swapped = data[: two.start] + data[three] + data[two] + data[four.start :]
    assert_broken(swapped, ref, [2])
    assert_broken(swapped, ref, [3])
    assert opened(swapped, ref, [4]) == same_size[4:5]


def test_one_subject_cannot_read_another():
    data, ref = seal()
    assert_broken(data, ref, [2], [*KEYS[:2], KEYS[3], *KEYS[3:]])


def test_containers_swapped_between_chunks_groups_or_vaults_are_noticed():
    data, ref = seal()
    for other, other_ref in (seal(chunk=4), seal(group=2), seal(vault_id=bytes(16)), seal()):
        assert_broken(other, ref)
        assert_broken(data, other_ref)


def test_an_older_container_in_the_place_of_a_newer_one_is_noticed():
    old, _ = seal()
    _, newer = seal()
    assert_broken(old, newer)


@pytest.mark.parametrize(
    "change",
    [{"chunk": 4}, {"group": 0}, {"dataset_id": bytes(16)}, {"part_id": bytes(16)}, {"container_id": bytes(16)}, {"n_slots": 8}],
)
def test_a_reference_that_says_something_else_opens_nothing(change):
    data, ref = seal()
    assert_broken(data, replace(ref, **change), range(8))


def test_a_nonce_that_is_not_the_containers_opens_nothing():
    data, ref = seal()
    assert_broken(data, replace(ref, nonce8=bytes(8)))


@pytest.mark.parametrize("slots", [[1, 0], [0, 0], [-1], [9], [0, 9]])
def test_slots_must_be_ascending_and_inside(slots):
    data, ref = seal()
    with pytest.raises(UsageError) as refused:
        open_blocks(ref, reader(data), LENGTH_KEY, GroupAccess.from_slots(1, slots, [KEYS[0]] * len(slots)))
    assert refused.value.code == "container_slots"


def test_a_container_needs_a_key_for_each_payload():
    for keys, payloads in (([], []), (KEYS, PAYLOADS[:8])):
        with pytest.raises(UsageError) as refused:
            seal(payloads, keys)
        assert refused.value.code == "container_slots"
