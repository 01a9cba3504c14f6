// Topics on a real socket: names and counts of partitions at their limits and one past them, by CreateTopics and by
// creation on first use.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import { createMetadataRequest, createMetadataRequestTopic } from "../../generated/testing/metadata-request.ts";
import { apis } from "../kafka/broker-world.ts";
import { type SocketClient, SocketWorld } from "./socket-world.ts";

let world: SocketWorld;
let client: SocketClient;

beforeAll(async () => {
  world = await SocketWorld.start();
  client = await world.connect();
});
afterAll(async () => {
  expect(world.endedCount("bug")).toBe(0);
  await world.stop();
});

/** The code of a topic that is to be created on its first use. */
async function firstUse(name: string): Promise<number | undefined> {
  const request = createMetadataRequest({
    topics: [createMetadataRequestTopic({ name })],
    allowAutoTopicCreation: true,
  });
  return (await client.call(apis.metadata, 9, request)).topics[0]?.errorCode;
}

describe("the name of a topic", () => {
  it.each([
    ["one character", "x"],
    ["249 characters", "x".repeat(249)],
    ["every kind of character", "aZ09._-"],
    ["three dots", "..."],
  ])("may be %s", async (_name, name) => {
    expect(await client.createTopic(name)).toBe(ErrorCode.NONE);
    expect(await firstUse(`${name.slice(1)}y`)).toBe(ErrorCode.NONE);
  });

  it.each([
    ["empty", ""],
    ["250 characters", "x".repeat(250)],
    ["32,767 characters", "x".repeat(32_767)],
    ["a dot", "."],
    ["two dots", ".."],
    ["with a space", "a b"],
    ["with a slash", "a/b"],
    ["with a line feed", "a\n"],
    ["with a zero", "a\0"],
    ["with a letter that is not ASCII", "ä"],
    ["that of the offsets' topic", "__consumer_offsets"],
  ])("may not be %s", async (_name, name) => {
    expect(await client.createTopic(name)).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
  });

  it.each([
    ["empty", ""],
    ["250 characters", "x".repeat(250)],
    ["two dots", ".."],
    ["with a slash", "a/b"],
  ])("may not be %s on first use", async (_name, name) => {
    expect(await firstUse(name)).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
  });

  it("may not differ from another in dots and underscores alone", async () => {
    expect(await client.createTopic("metric.name_a")).toBe(ErrorCode.NONE);
    expect(await client.createTopic("metric_name.a")).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
    expect(await firstUse("metric.name.a")).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
    expect(await client.createTopic("metric-name-a")).toBe(ErrorCode.NONE);
  });
});

describe("the partitions", () => {
  it.each([
    [1, ErrorCode.NONE],
    [1_000, ErrorCode.NONE],
    [1_001, ErrorCode.INVALID_PARTITIONS],
    [0x7fff_ffff, ErrorCode.INVALID_PARTITIONS],
    [0, ErrorCode.INVALID_PARTITIONS],
    [-2, ErrorCode.INVALID_PARTITIONS],
  ])("of a topic may be 1 to 1,000: %i", async (count, code) => {
    expect(await client.createTopic(`partitions-${count}`, count)).toBe(code);
  });

  it("of a cluster may be 20,000, and one more is POLICY_VIOLATION", async () => {
    const full = await SocketWorld.start();
    const admin = await full.connect();
    const codes = [];
    for (let topic = 0; topic < 20; topic++) codes.push(await admin.createTopic(`topic-${topic}`, 1_000));
    expect(new Set(codes)).toEqual(new Set([ErrorCode.NONE]));
    expect(await admin.createTopic("one-more", 1)).toBe(ErrorCode.POLICY_VIOLATION);
    const request = createMetadataRequest({ topics: [createMetadataRequestTopic({ name: "first-use" })] });
    const { topics } = await admin.call(apis.metadata, 9, { ...request, allowAutoTopicCreation: true });
    expect(topics[0]?.errorCode).toBe(ErrorCode.POLICY_VIOLATION);
    await full.stop();
  });

  it("are as many as the settings of the broker allow", async () => {
    const limited = await SocketWorld.start({ kafka: { partitionsPerTopicMax: 3, partitionsPerClusterMax: 5 } });
    const admin = await limited.connect();
    expect(await admin.createTopic("four", 4)).toBe(ErrorCode.INVALID_PARTITIONS);
    expect(await admin.createTopic("three", 3)).toBe(ErrorCode.NONE);
    expect(await admin.createTopic("more", 3)).toBe(ErrorCode.POLICY_VIOLATION);
    expect(await admin.createTopic("two", 2)).toBe(ErrorCode.NONE);
    await limited.stop();
  });
});
