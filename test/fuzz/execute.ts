// Runs one input and judges it: what it threw, how long it took, what it allocated. Time and memory are first measured
// cheaply and then again, several times, before they count: another process or the collector may have been the reason.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { defaultBufferBytesMax, type FuzzTarget, heapBytesMax } from "./fuzz-target.ts";

/** Longest run, milliseconds. */
const RUN_MS_MAX = 100;
const CONFIRMATIONS = 4;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is wrong with how `target` treats `input`; undefined if nothing is. */
export function execute(target: FuzzTarget, input: Uint8Array): string | undefined {
  const before = process.memoryUsage();
  const start = performance.now();
  const thrown = runOnce(target, input);
  const elapsedMs = performance.now() - start;
  if (thrown !== undefined) return thrown;
  if (elapsedMs > RUN_MS_MAX && confirmedMs(target, input) > RUN_MS_MAX) {
    return `it takes ${elapsedMs.toFixed(0)} ms, more than ${RUN_MS_MAX}`;
  }
  const after = process.memoryUsage();
  const bufferBytesMax = (target.bufferBytesMax ?? defaultBufferBytesMax)(input);
  const isSuspect =
    after.arrayBuffers - before.arrayBuffers > bufferBytesMax || after.heapUsed - before.heapUsed > heapBytesMax(input);
  return isSuspect ? confirmedAllocation(target, input, bufferBytesMax) : undefined;
}

function runOnce(target: FuzzTarget, input: Uint8Array): string | undefined {
  try {
    target.run(input);
  } catch (error) {
    if (target.refusals.some((refusal) => error instanceof refusal)) return undefined;
    return `it throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
  return undefined;
}

/** The fastest of several runs. */
function confirmedMs(target: FuzzTarget, input: Uint8Array): number {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run < CONFIRMATIONS; run += 1) {
    const start = performance.now();
    runOnce(target, input);
    fastestMs = Math.min(fastestMs, performance.now() - start);
  }
  return fastestMs;
}

/** The least that several runs allocate, each after a collection. */
function confirmedAllocation(target: FuzzTarget, input: Uint8Array, bufferBytesMax: number): string | undefined {
  let buffers = Number.POSITIVE_INFINITY;
  let heap = Number.POSITIVE_INFINITY;
  for (let run = 0; run < CONFIRMATIONS; run += 1) {
    collectGarbage();
    const before = process.memoryUsage();
    runOnce(target, input);
    const after = process.memoryUsage();
    buffers = Math.min(buffers, after.arrayBuffers - before.arrayBuffers);
    heap = Math.min(heap, after.heapUsed - before.heapUsed);
  }
  if (buffers > bufferBytesMax) return `it allocates ${buffers} bytes of buffers, more than ${bufferBytesMax}`;
  if (heap > heapBytesMax(input)) return `it allocates ${heap} bytes of heap, more than ${heapBytesMax(input)}`;
  return undefined;
}
