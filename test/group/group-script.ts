// Runs a script of things that happen to one group through the machine and prints what follows: the text that golden
// tests compare. Time stands still between commands; `advance` moves it and fires what is due, in order.
import { ErrorCode, errorName } from "../../generated/kafka/error-codes.ts";
import { step } from "../../src/group/classic-machine.ts";
import {
  createGroup,
  type GroupEffect,
  type GroupInput,
  type GroupRecord,
  type GroupReply,
  type GroupRequest,
  type GroupState,
} from "../../src/group/group.ts";
import type { AddressedRecord } from "../../src/group/group-records.ts";
import { recoverGroups } from "../../src/group/group-recovery.ts";
import { defaultGroupSettings, type GroupSettings } from "../../src/group/group-settings.ts";

const GROUP_ID = "g";
/** Wall time of the first command. */
const START_WALL_MS = 1_000_000_000_000;

interface ScriptTimer {
  readonly token: number;
  readonly dueMs: number;
}

/** One group under a script. */
export class GroupScript {
  #settings: GroupSettings = defaultGroupSettings;
  #group: GroupState | undefined;
  #nowMs = 0;
  #lastRequestId = 0;
  #uuidCount = 0;
  readonly #timers = new Map<string, ScriptTimer>();
  /** The newest record by address, as the log's fold would keep it. */
  readonly #records = new Map<string, GroupRecord>();
  #lines: string[] = [];

  /** Runs one command; the lines that it prints. */
  run(command: string): string[] {
    this.#lines = [];
    const [verb = "", ...words] = command.trim().split(/\s+/);
    const args = new Args(words);
    if (verb === "settings") this.#changeSettings(args);
    else if (verb === "advance") this.#advance(milliseconds(words[0] ?? ""));
    else if (verb === "reload") this.#reload();
    else if (verb === "drop") this.#tell({ type: "topics-deleted", topicIds: new Set(words) });
    else this.#tell({ type: "request", requestId: ++this.#lastRequestId, request: this.#requestOf(verb, args) });
    return this.#lines;
  }

  #changeSettings(args: Args): void {
    const changed = [...args.named].map(([name, value]) => [name, milliseconds(value)]);
    this.#settings = { ...this.#settings, ...Object.fromEntries(changed) };
    this.#lines.push("ok");
  }

  #advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#timers]
        .filter(([, { dueMs }]) => dueMs <= untilMs)
        .sort((a, b) => a[1].dueMs - b[1].dueMs);
      if (!next) break;
      const [key, { token, dueMs }] = next;
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      this.#timers.delete(key);
      this.#lines.push(`at +${seconds(byMs - (untilMs - this.#nowMs))} ${key}`);
      this.#tell({ type: "timer", key, token });
    }
    this.#nowMs = untilMs;
    if (this.#lines.length === 0) this.#lines.push("nothing");
  }

  #reload(): void {
    const records: AddressedRecord[] = [...this.#records.values()].map((record) => ({ groupId: GROUP_ID, record }));
    this.#timers.clear();
    this.#group = recoverGroups(records, { settings: this.#settings, isTopicAlive: () => true }).get(GROUP_ID);
    if (this.#group) this.#lines.push(stateLine(this.#group));
    this.#tell({ type: "loaded" });
  }

  #tell(input: GroupInput): void {
    const group = this.#group ?? createGroup(GROUP_ID, this.#settings);
    const before = stateLine(group);
    const result = step(group, input, { monotonicMs: this.#nowMs, wallMs: START_WALL_MS + this.#nowMs });
    this.#group = result.group;
    const after = result.group ? stateLine(result.group) : "state forgotten";
    if (before !== after) this.#lines.push(after);
    for (const effect of result.effects) this.#lines.push(...this.#effectLines(effect));
  }

  #effectLines(effect: GroupEffect): string[] {
    switch (effect.type) {
      case "reply":
        return [`reply #${effect.requestId} ${replyText(effect.reply)}`];
      case "persist":
        return effect.records.map((record) => this.#persist(record));
      case "schedule":
        this.#timers.set(effect.key, { token: effect.token, dueMs: this.#nowMs + effect.delayMs });
        return [`schedule ${effect.key} +${seconds(effect.delayMs)}`];
      case "cancel":
        this.#timers.delete(effect.key);
        return [`cancel ${effect.key}`];
    }
  }

  #persist(record: GroupRecord): string {
    const address = "topic" in record ? `${record.topic}-${record.partition}` : "group";
    this.#records.delete(address);
    if (record.type === "group" || record.type === "offset") this.#records.set(address, record);
    return `persist ${recordText(record)}`;
  }

  #requestOf(verb: string, args: Args): GroupRequest {
    const memberId = args.text("m", "");
    const instanceId = args.named.get("instance") ?? null;
    const generation = Number(args.text("gen", "-1"));
    switch (verb) {
      case "join":
        return {
          type: "join",
          memberId,
          instanceId,
          clientId: args.text("client", "c"),
          clientHost: "/127.0.0.1",
          sessionTimeoutMs: milliseconds(args.text("session", "10s")),
          rebalanceTimeoutMs: milliseconds(args.text("rebalance", "60s")),
          protocolType: args.text("type", "consumer"),
          protocols: args.pairs("protocols").map(([name, blob]) => ({ name, metadata: bytesOf(blob) })),
          needsKnownMemberId: args.has("v4"),
          canSkipAssignment: args.has("v9"),
          uuid: memberId === "" ? String(++this.#uuidCount) : "unused",
        };
      case "sync": {
        const protocolType = args.named.get("type") ?? null;
        const protocolName = args.named.get("protocol") ?? null;
        const assignments = args.pairs("assign").map(([id, blob]) => ({ memberId: id, assignment: bytesOf(blob) }));
        return { type: "sync", memberId, instanceId, generation, protocolType, protocolName, assignments };
      }
      case "heartbeat":
        return { type: "heartbeat", memberId, instanceId, generation };
      case "leave":
        return {
          type: "leave",
          members: args
            .text("m", "")
            .split(",")
            .map((id) => ({ memberId: id, instanceId })),
        };
      case "commit":
        return {
          type: "commit",
          memberId,
          instanceId,
          generation,
          unknownGroupCode: args.has("v9") ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION,
          retentionMs: milliseconds(args.text("retention", "-1ms")),
          partitions: args.pairs("offsets").map(([address, offset]) => ({
            ...addressOf(address),
            offset: Number(offset),
            leaderEpoch: Number(args.text("epoch", "-1")),
            metadata: args.text("metadata", ""),
            commitTimestampMs: Number(args.text("timestamp", "-1")),
          })),
        };
      case "fetch": {
        const partitions = args.pairs("offsets").map(([address]) => addressOf(address));
        return { type: "fetch-offsets", partitions: args.named.has("offsets") ? partitions : null };
      }
      case "describe":
        return { type: "describe" };
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }
}

/** Words of a command: `name=value` and bare ones. */
class Args {
  readonly named = new Map<string, string>();
  readonly #bare = new Set<string>();

  constructor(words: readonly string[]) {
    for (const word of words) {
      const [name = "", ...rest] = word.split("=");
      if (rest.length > 0) this.named.set(name, rest.join("="));
      else this.#bare.add(name);
    }
  }

  has(word: string): boolean {
    return this.#bare.has(word);
  }

  text(name: string, otherwise: string): string {
    return this.named.get(name) ?? otherwise;
  }

  /** `a:x,b:y` as pairs; the second half may be missing. */
  pairs(name: string): [string, string][] {
    const text = this.named.get(name) ?? "";
    if (text === "") return [];
    return text.split(",").map((pair) => {
      const [left = "", right = ""] = pair.split(":");
      return [left, right];
    });
  }
}

/** `topic/partition`; the topic's id is `id-<topic>` unless written `topic@id/partition`. */
function addressOf(text: string): { topic: string; topicId: string; partition: number } {
  const [name = "", partition = "0"] = text.split("/");
  const [topic = "", topicId = `id-${topic}`] = name.split("@");
  return { topic, topicId, partition: Number(partition) };
}

function milliseconds(text: string): number {
  const match = /^(-?\d+)(ms|s|m|h|d)?$/.exec(text);
  if (!match) throw new Error(`not a duration: ${text}`);
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  return Number(match[1]) * (units[match[2] ?? "ms"] ?? 1);
}

function seconds(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** Blobs are text here; `x*1000` stands for a thousand times x. */
function bytesOf(blob: string): Uint8Array {
  const [text = "", count] = blob.split("*");
  return new TextEncoder().encode(count === undefined ? text : text.repeat(Number(count)));
}

function textOf(bytes: Uint8Array): string {
  return bytes.length > 40 ? `${bytes.length} bytes` : new TextDecoder().decode(bytes);
}

function stateLine(group: GroupState): string {
  const members = [...group.members.values()].map((member) => {
    const marks = [
      group.leaderId === member.memberId ? "*" : "",
      member.joinRequestId === undefined ? "" : "+join",
      member.syncRequestId === undefined ? "" : "+sync",
    ];
    return `${member.memberId}${marks.join("")}`;
  });
  const pending = [...group.pendingMembers.keys()].map((id) => `${id}?`);
  return `state ${group.phase} gen=${group.generation} [${[...members, ...pending].join(" ")}]`;
}

function recordText(record: GroupRecord): string {
  switch (record.type) {
    case "group": {
      const { generation, protocolName, leaderId, members } = record.group;
      const text = members.map((m) => `${m.memberId}(${textOf(m.subscription)}:${textOf(m.assignment)})`);
      return `group gen=${generation} protocol=${protocolName} leader=${leaderId} [${text.join(" ")}]`;
    }
    case "group-removed":
      return "group removed";
    case "offset":
      return `offset ${record.topic}/${record.partition} ${record.committed.offset}`;
    case "offset-removed":
      return `offset ${record.topic}/${record.partition} removed`;
  }
}

function replyText(reply: GroupReply): string {
  if ("members" in reply) {
    const members = reply.members.map((m) => `${m.memberId}(${textOf(m.metadata)})`).join(" ");
    const head = `join ${errorName(reply.errorCode)} member=${reply.memberId}`;
    if (reply.generation === -1) return head;
    const tail = reply.skipAssignment ? " skip" : "";
    return `${head} gen=${reply.generation} leader=${reply.leaderId} protocol=${reply.protocolName} [${members}]${tail}`;
  }
  if ("assignment" in reply) return `sync ${errorName(reply.errorCode)} ${textOf(reply.assignment)}`.trimEnd();
  if ("errorCodes" in reply) return reply.errorCodes.map(errorName).join(" ");
  if ("errorCode" in reply) return errorName(reply.errorCode);
  if ("partitions" in reply) {
    const offsets = reply.partitions.map(({ topic, partition, committed }) => {
      const text = committed ? `${committed.offset}${committed.metadata && `"${committed.metadata}"`}` : "none";
      return `${topic}/${partition}=${text}`;
    });
    return `offsets ${offsets.join(" ")}`.trimEnd();
  }
  if (!reply.group) return "no such group";
  const { phase, protocolType, protocolName, members } = reply.group;
  const text = members.map((m) => `${m.memberId}(${textOf(m.metadata)}:${textOf(m.assignment)})`);
  return `${phase} type=${protocolType} protocol=${protocolName} [${text.join(" ")}]`;
}
