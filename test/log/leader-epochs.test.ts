// OffsetForLeaderEpoch: where each leadership ended, as KIP-101 and KIP-320 ask for it.
import { expect, it } from "vitest";
import { LeaderEpochs } from "../../src/log/leader-epochs.ts";

function epochs(): LeaderEpochs {
  const found = new LeaderEpochs();
  found.note(2, 0);
  found.note(2, 5);
  found.note(4, 10);
  found.note(7, 30);
  return found;
}

const current = { leaderEpoch: 9, endOffset: 50 };

it.each([
  ["the present epoch ends at the end of the log", 9, 9, 50],
  ["an epoch ends where the next one that wrote began", 2, 2, 10],
  ["an epoch that wrote nothing ends as the one before it", 3, 2, 10],
  ["the last one that wrote ends at the end of the log", 7, 7, 50],
  ["an epoch between it and the present one as well", 8, 7, 50],
  ["an epoch before all begins, and so ends, at the first offset", 1, 1, 0],
  ["an epoch to come is unknown", 10, -1, -1],
])("%s", (_, asked, leaderEpoch, endOffset) => {
  expect(epochs().endOffset(asked, current)).toEqual({ leaderEpoch, endOffset });
});

it("forgets epochs whose records all lie below the log start", () => {
  const found = epochs();
  found.dropBelow(15);
  expect(found.all).toEqual([
    { leaderEpoch: 4, startOffset: 10 },
    { leaderEpoch: 7, startOffset: 30 },
  ]);
});
