// Every fuzz target. A new one is a line here.
import type { FuzzTarget } from "./fuzz-target.ts";
import { objectTargets } from "./object-targets.ts";
import { protocolTargets } from "./protocol-targets.ts";
import { recordTargets } from "./record-targets.ts";

/** All targets, in the order they run. */
export const fuzzTargets: readonly FuzzTarget[] = [...recordTargets, ...protocolTargets, ...objectTargets];
