// Random stories of one group: clients that follow the protocol at random moments, time that passes, coordinators that
// restart. The world checks what must hold after every step and throws where it does not.
import fc from "fast-check";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { step } from "../../src/group/classic-machine.ts";
import {
  createGroup,
  type GroupEffect,
  type GroupInput,
  type GroupRecord,
  type GroupReply,
  type GroupRequest,
  type GroupState,
  type JoinReply,
  type SyncReply,
} from "../../src/group/group.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../../src/group/group-records.ts";
import { recoverGroups } from "../../src/group/group-recovery.ts";
import { defaultGroupSettings } from "../../src/group/group-settings.ts";

/** One move of a story. */
export type Move =
  | { readonly type: "join"; readonly client: number; readonly blob: number }
  | { readonly type: "sync" | "heartbeat" | "leave" | "commit" | "restart" | "old-timer"; readonly client: number }
  | { readonly type: "advance"; readonly ms: number }
  /** Everybody who has an id joins, the delay passes, and all of them sync. */
  | { readonly type: "settle" }
  | { readonly type: "reload" };

const clientCount = 5;
const anyClient = fc.nat({ max: clientCount - 1 });

/** Stories that mostly follow the protocol: joins and syncs are likely, restarts rare. */
export const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ type: fc.constant("join" as const), client: anyClient, blob: fc.nat({ max: 2 }) }),
    },
    { weight: 6, arbitrary: fc.record({ type: fc.constant("sync" as const), client: anyClient }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constantFrom("heartbeat" as const, "leave" as const), client: anyClient }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("commit" as const), client: anyClient }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constantFrom("restart" as const, "old-timer" as const), client: anyClient }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 3_000, 9_999, 61_000) }),
    },
    { weight: 4, arbitrary: fc.constant({ type: "settle" as const }) },
    { weight: 1, arbitrary: fc.constant({ type: "reload" as const }) },
  ),
  { minLength: 20, maxLength: 120 },
);

/** What a client knows. Clients 0 and 1 are static, the others dynamic; client 4 speaks JoinGroup of version 3. */
interface Client {
  memberId: string;
  readonly instanceId: string | null;
  generation: number;
  /** Set between a granted join and the sync that follows: what the leader has to assign. */
  members: readonly string[];
}

interface ArmedTimer {
  readonly token: number;
  readonly dueMs: number;
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** One group and its clients. */
export class GroupWorld {
  readonly #settings = { ...defaultGroupSettings, initialRebalanceDelayMs: 1_000 };
  #group: GroupState | undefined;
  #nowMs = 0;
  #lastRequestId = 0;
  #joinCount = 0;
  #commitCount = 0;
  readonly #clients: Client[] = Array.from({ length: clientCount }, (_, index) => ({
    memberId: "",
    instanceId: index < 2 ? `static-${index}` : null,
    generation: -1,
    members: [],
  }));
  /** Requests without an answer: who asked. */
  readonly #open = new Map<number, { readonly request: GroupRequest; readonly client: Client }>();
  readonly #timers = new Map<string, ArmedTimer>();
  readonly #oldTimers: { key: string; token: number }[] = [];
  /** The newest record per key, as bytes. */
  readonly #fold = new Map<string, { key: Uint8Array; value: Uint8Array }>();
  /** Who had a partition in a generation. A generation that nobody was told an assignment of may be used again. */
  readonly #owners = new Map<string, string>();
  #committed = -1;
  #isOffsetKnown = true;
  /** How often something that matters happened: stories in which nothing does prove nothing. */
  readonly counts = { assigned: 0, committed: 0, reloaded: 0, recoveredStable: 0, oldTimers: 0, skipped: 0 };

  /** Makes a move. */
  move(move: Move): void {
    if (move.type === "advance") this.#advance(move.ms);
    else if (move.type === "reload") this.#reload();
    else if (move.type === "settle") this.#settle();
    else this.#act(move);
    this.#checkState();
  }

  /** Time passes until nothing waits any more; every request has been answered then. */
  end(): void {
    for (let round = 0; round < 10; round++) this.#advance(301_000);
    check(this.#open.size === 0, `${this.#open.size} requests were never answered`);
    const group = this.#group;
    check(!group || group.members.size === 0, "members outlived every session");
  }

  #settle(): void {
    for (const client of this.#clients) if (client.memberId !== "") this.#join(client, 0, true);
    this.#advance(1_000);
    for (const client of this.#clients) if (client.memberId !== "") this.#sync(client);
  }

  #act(move: Exclude<Move, { type: "advance" | "reload" | "settle" }>): void {
    const client = this.#clients[move.client];
    if (!client) return;
    const { memberId, instanceId, generation } = client;
    switch (move.type) {
      case "join":
        this.#join(client, move.blob, move.client < 4);
        break;
      case "sync":
        this.#sync(client);
        break;
      case "heartbeat":
        this.#ask(client, { type: "heartbeat", memberId, instanceId, generation });
        break;
      case "leave":
        this.#ask(client, { type: "leave", members: [{ memberId, instanceId }] });
        break;
      case "commit":
        this.#commit(client);
        break;
      case "old-timer":
        this.#fireOldTimer();
        break;
      case "restart":
        client.memberId = "";
        this.#join(client, 0, move.client < 4);
        break;
    }
  }

  #join(client: Client, blob: number, needsKnownMemberId: boolean): void {
    this.#ask(client, {
      type: "join",
      memberId: client.memberId,
      instanceId: client.instanceId,
      clientId: "c",
      clientHost: "/h",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: "consumer",
      protocols: [{ name: blob === 2 ? "sticky" : "range", metadata: Uint8Array.of(blob) }].concat(
        blob === 1 ? [] : [{ name: blob === 2 ? "range" : "sticky", metadata: Uint8Array.of(blob) }],
      ),
      needsKnownMemberId,
      canSkipAssignment: true,
      uuid: String(++this.#joinCount),
    });
  }

  #sync(client: Client): void {
    const { memberId, instanceId, generation } = client;
    const assignments = client.members.map((id, index) => ({ memberId: id, assignment: Uint8Array.of(index) }));
    const protocol = { protocolType: null, protocolName: null };
    this.#ask(client, { type: "sync", memberId, instanceId, generation, assignments, ...protocol });
  }

  #commit(client: Client): void {
    const { memberId, instanceId, generation } = client;
    const partition = { topic: "t", topicId: "AAAAAAAAAAAAAAAAAAAAAQ", partition: 0, offset: ++this.#commitCount };
    this.#ask(client, {
      type: "commit",
      memberId,
      instanceId,
      generation,
      unknownGroupCode: ErrorCode.ILLEGAL_GENERATION,
      retentionMs: -1,
      partitions: [{ ...partition, leaderEpoch: -1, metadata: "", commitTimestampMs: -1 }],
    });
  }

  #ask(client: Client, request: GroupRequest): void {
    const requestId = ++this.#lastRequestId;
    this.#open.set(requestId, { request, client });
    this.#tell({ type: "request", requestId, request });
  }

  #tell(input: GroupInput): void {
    const group = this.#group ?? createGroup("g", this.#settings);
    const result = step(group, input, { monotonicMs: this.#nowMs, wallMs: 1_000_000_000_000 + this.#nowMs });
    this.#group = result.group;
    for (const effect of result.effects) this.#carryOut(effect);
    if (!result.group) this.#oldTimers.length = 0; // Tokens start over; the shell has cancelled them all.
  }

  #carryOut(effect: GroupEffect): void {
    switch (effect.type) {
      case "reply":
        this.#answer(effect.requestId, effect.reply);
        break;
      case "persist":
        for (const record of effect.records) this.#persist(record);
        break;
      case "schedule": {
        const old = this.#timers.get(effect.key);
        if (old) this.#oldTimers.push({ key: effect.key, token: old.token });
        this.#timers.set(effect.key, { token: effect.token, dueMs: this.#nowMs + effect.delayMs });
        break;
      }
      case "cancel": {
        const old = this.#timers.get(effect.key);
        if (old) this.#oldTimers.push({ key: effect.key, token: old.token });
        this.#timers.delete(effect.key);
        break;
      }
    }
  }

  #persist(record: GroupRecord): void {
    const { key, value } = encodeGroupRecord("g", record);
    const name = Buffer.from(key).toString("hex");
    this.#fold.delete(name);
    if (value) this.#fold.set(name, { key, value });
    if (record.type === "offset-removed") this.#isOffsetKnown = false;
  }

  #answer(requestId: number, reply: GroupReply): void {
    const open = this.#open.get(requestId);
    check(open !== undefined, `request ${requestId} was answered twice`);
    this.#open.delete(requestId);
    if (!open) return;
    if (open.request.type === "join") this.#onJoined(open.client, reply as JoinReply);
    if (open.request.type === "sync") this.#onSynced(open, reply as SyncReply);
    if (open.request.type === "commit") {
      const isCommitted = "errorCodes" in reply && reply.errorCodes[0] === ErrorCode.NONE;
      if (!isCommitted) return;
      this.counts.committed++;
      this.#isOffsetKnown = true;
      this.#committed = open.request.partitions[0]?.offset ?? -1;
    }
  }

  #onJoined(client: Client, reply: JoinReply): void {
    if (reply.errorCode === ErrorCode.NONE || reply.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      client.memberId = reply.memberId;
      client.generation = reply.generation;
      client.members = reply.skipAssignment ? [] : reply.members.map(({ memberId }) => memberId);
      if (reply.skipAssignment) this.counts.skipped++;
      const isLeader = reply.leaderId === reply.memberId && reply.generation !== -1;
      check(isLeader === reply.members.length > 0, "exactly the leader is told of the members");
    } else if (reply.errorCode === ErrorCode.UNKNOWN_MEMBER_ID || reply.errorCode === ErrorCode.FENCED_INSTANCE_ID) {
      client.memberId = "";
    }
  }

  #onSynced(open: { request: GroupRequest; client: Client }, reply: SyncReply): void {
    if (reply.errorCode !== ErrorCode.NONE || open.request.type !== "sync") return;
    const { memberId, generation, instanceId } = open.request;
    for (const partition of reply.assignment) {
      const key = `${generation}/${partition}`;
      const owner = instanceId ?? memberId;
      const other = this.#owners.get(key);
      check(
        other === undefined || other === owner,
        `partition ${partition} has two owners in generation ${generation}`,
      );
      this.#owners.set(key, owner);
      this.counts.assigned++;
    }
  }

  #advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let next: [string, ArmedTimer] | undefined;
      for (const timer of this.#timers) {
        if (timer[1].dueMs <= untilMs && (!next || timer[1].dueMs < next[1].dueMs)) next = timer;
      }
      if (!next) break;
      const [key, { token, dueMs }] = next;
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      this.#timers.delete(key);
      this.#oldTimers.push({ key, token });
      this.#tell({ type: "timer", key, token });
    }
    this.#nowMs = untilMs;
  }

  #fireOldTimer(): void {
    const group = this.#group;
    const old = this.#oldTimers.at(-1);
    if (!group || !old) return;
    const before = JSON.stringify([...entriesOf(group)]);
    const { effects } = step(group, { type: "timer", ...old }, { monotonicMs: this.#nowMs, wallMs: this.#nowMs });
    check(effects.length === 0, `the old timer ${old.key} had effects`);
    check(before === JSON.stringify([...entriesOf(group)]), `the old timer ${old.key} changed the group`);
    this.counts.oldTimers++;
  }

  /** The coordinator dies with everything parked; the next one reads the records. */
  #reload(): void {
    const before = this.#group;
    this.#open.clear();
    this.#timers.clear();
    this.#oldTimers.length = 0;
    const recovered = this.recover();
    if (before?.phase === "Stable" || before?.phase === "Empty") {
      const expected = durableView(before);
      const actual = recovered ? durableView(recovered) : durableView(createGroup("g", this.#settings));
      check(actual === expected, `recovered ${actual}\ninstead of ${expected}`);
      if (before.phase === "Stable") this.counts.recoveredStable++;
    } else {
      check(offsetsOf(before) === offsetsOf(recovered), "offsets changed by a restart");
    }
    this.#group = recovered;
    this.counts.reloaded++;
    if (recovered) this.#tell({ type: "loaded" });
  }

  /** The group as its records tell it now. */
  recover(): GroupState | undefined {
    const records = [...this.#fold.values()].flatMap((entry) => decodeGroupRecord(entry) ?? []);
    return recoverGroups(records, { settings: this.#settings, isTopicAlive: () => true }).get("g");
  }

  #checkState(): void {
    const group = this.#group;
    if (!group) {
      check(this.#timers.size === 0, "a forgotten group has timers");
      check(this.#fold.size === 0, "a forgotten group has records");
      return;
    }
    const kept = group.offsets.get("t")?.get(0)?.offset ?? -1;
    check(!this.#isOffsetKnown || kept === this.#committed, `offset ${kept} is kept, ${this.#committed} was committed`);
    check(group.members.size === 0 || group.members.has(group.leaderId ?? ""), "the leader is no member");
    check(group.phase !== "Empty" || group.members.size === 0, "an empty group has members");
    check(group.phase !== "Stable" || group.members.size > 0, "a stable group has no members");
    const parked = [...group.members.values()].flatMap((m) => [m.joinRequestId, m.syncRequestId]);
    const parkedIds = parked.filter((id) => id !== undefined).sort((a, b) => a - b);
    const openIds = [...this.#open.keys()].sort((a, b) => a - b);
    check(String(parkedIds) === String(openIds), `requests ${openIds.join()} are open, ${parkedIds.join()} are parked`);
    check((group.phase === "PreparingRebalance") === group.timers.has("join"), `the join timer in ${group.phase}`);
    check(group.timers.size === this.#timers.size, "the machine and the shell disagree on timers");
    for (const member of group.members.values()) {
      const isParked = member.joinRequestId !== undefined || member.syncRequestId !== undefined;
      check(isParked || group.timers.has(`member:${member.memberId}`), `nothing watches ${member.memberId}`);
    }
  }
}

function* entriesOf(group: GroupState): Generator {
  for (const value of Object.values(group)) yield value instanceof Map ? [...value] : value;
}

function offsetsOf(group: GroupState | undefined): string {
  return JSON.stringify([...(group?.offsets ?? [])].map(([topic, partitions]) => [topic, [...partitions]]));
}

/** What of a group outlives a restart, in comparable form. */
function durableView(group: GroupState): string {
  const members = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    sessionTimeoutMs: member.sessionTimeoutMs,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    chosen: [...(member.protocols.find(({ name }) => name === group.protocolName)?.metadata ?? [])],
    assignment: [...member.assignment],
  }));
  const { phase, generation, protocolType, protocolName, leaderId, isRecorded } = group;
  const since = isRecorded ? group.phaseSinceMs : -1;
  const statics = [...group.staticMembers].sort(([left], [right]) => (left < right ? -1 : 1));
  const own = { phase, generation, protocolType, protocolName, leaderId, isRecorded, since, statics, members };
  return `${JSON.stringify(own)} ${offsetsOf(group)}`;
}
