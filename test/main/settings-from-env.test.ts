// What a start takes from flags and variables, and each refusal with the words that a person reads.
import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { type Environment, readServeSettings, type ServeFlags } from "../../src/main/settings-from-env.ts";

function refusal(environment: Environment, flags: ServeFlags = {}): string {
  try {
    readServeSettings(flags, environment);
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : "";
  }
  return "accepted";
}

describe("settings of serve", () => {
  it("listens on loopback with the ports of the user guide when nothing is set", () => {
    expect(readServeSettings({}, {})).toEqual({
      brokerId: 0,
      kafkaListener: { host: "127.0.0.1", port: 9092 },
      metricsListener: { host: "127.0.0.1", port: 9093 },
      controlHost: "127.0.0.1",
      advertised: { host: "127.0.0.1", port: 9092 },
      dataDir: undefined,
      s3: undefined,
      etcd: undefined,
      clusterName: "kafscale",
      isAutoCreateEnabled: true,
      autoCreatePartitionCount: 1,
      reconcileAgeMs: 600_000,
      logLevel: "warn",
      unreadVariables: [],
    });
  });

  it("reads every variable", () => {
    const settings = readServeSettings(
      {},
      {
        KAFSCALE_BROKER_ADDR: "10.0.0.7:19092",
        KAFSCALE_BROKER_HOST: "broker.example",
        KAFSCALE_BROKER_PORT: "29092",
        KAFSCALE_BROKER_ID: "7",
        KAFSCALE_METRICS_ADDR: "[::1]:19093",
        KAFSCALE_CONTROL_HOST: "broker-7.internal",
        KAFSCALE_AUTO_CREATE_TOPICS: "false",
        KAFSCALE_AUTO_CREATE_PARTITIONS: "12",
        KAFSCALE_RECONCILE_AGE_SECONDS: "30",
        KAFSCALE_LOG_LEVEL: "DEBUG",
        KAFSCALE_DATA_DIR: "/var/lib/kafscale",
        KAFSCALE_PRODUCE_SYNC_FLUSH: "true",
      },
    );
    expect(settings).toEqual({
      brokerId: 7,
      kafkaListener: { host: "10.0.0.7", port: 19_092 },
      metricsListener: { host: "::1", port: 19_093 },
      controlHost: "broker-7.internal",
      advertised: { host: "broker.example", port: 29_092 },
      dataDir: "/var/lib/kafscale",
      s3: undefined,
      etcd: undefined,
      clusterName: "kafscale",
      isAutoCreateEnabled: false,
      autoCreatePartitionCount: 12,
      reconcileAgeMs: 30_000,
      logLevel: "debug",
      unreadVariables: [],
    });
  });

  it("tells other brokers the host of the metrics listener, or the one of clients where that is every interface", () => {
    const environment = { KAFSCALE_BROKER_ADDR: "10.0.0.7:9092", KAFSCALE_METRICS_ADDR: "10.0.0.8:9093" };
    expect(readServeSettings({}, environment).controlHost).toBe("10.0.0.8");
    expect(readServeSettings({ metricsAddr: ":9093" }, environment).controlHost).toBe("10.0.0.7");
    expect(readServeSettings({ controlHost: "b" }, environment).controlHost).toBe("b");
  });

  it("lets a flag win over its variable", () => {
    const environment = { KAFSCALE_BROKER_ID: "1", KAFSCALE_BROKER_ADDR: ":9092", KAFSCALE_DATA_DIR: "/a" };
    const settings = readServeSettings({ brokerId: "2", kafkaAddr: "127.0.0.1:1", dataDir: "/b" }, environment);
    expect(settings.brokerId).toBe(2);
    expect(settings.kafkaListener).toEqual({ host: "127.0.0.1", port: 1 });
    expect(settings.dataDir).toBe("/b");
  });

  it("advertises the name of the machine when it listens on every interface", () => {
    const settings = readServeSettings({}, { KAFSCALE_BROKER_ADDR: ":9092" });
    expect(settings.kafkaListener.host).toBe("0.0.0.0");
    expect(settings.advertised).toEqual({ host: hostname(), port: 9092 });
  });

  it("takes the broker id from the ordinal of the pod unless one is set", () => {
    expect(readServeSettings({}, { POD_NAME: "kafscale-broker-12" }).brokerId).toBe(12);
    expect(readServeSettings({}, { POD_NAME: "kafscale-broker-12", KAFSCALE_BROKER_ID: "3" }).brokerId).toBe(3);
    expect(readServeSettings({}, { POD_NAME: "kafscale-broker-x7f" }).brokerId).toBe(0);
  });

  it("takes an empty variable for an unset one", () => {
    expect(readServeSettings({}, { KAFSCALE_S3_BUCKET: "", KAFSCALE_BROKER_ID: "" }).brokerId).toBe(0);
  });

  it("names the variables that it does not read", () => {
    const settings = readServeSettings({}, { KAFSCALE_CACHE_BYTES: "1", KAFSCALE_BROKR_ID: "1", HOME: "/" });
    expect(settings.unreadVariables).toEqual(["KAFSCALE_BROKR_ID", "KAFSCALE_CACHE_BYTES"]);
  });

  it.each([
    ["KAFSCALE_BROKER_ID", "-1", "it has to be a whole number from 0 to 2147483647"],
    ["KAFSCALE_BROKER_ID", "2147483648", "it has to be a whole number from 0 to 2147483647"],
    ["KAFSCALE_BROKER_ADDR", "9092", "it has to be host:port, or :port for every interface"],
    ["KAFSCALE_BROKER_ADDR", "a:65536", "its port has to be at most 65535"],
    ["KAFSCALE_METRICS_ADDR", "http://a:1", "it has to be host:port, or :port for every interface"],
    ["KAFSCALE_BROKER_PORT", "0", "it has to be a whole number from 1 to 65535"],
    ["KAFSCALE_BROKER_HOST", "a b", "it has to be a host name or an address"],
    ["KAFSCALE_AUTO_CREATE_TOPICS", "yes", "it has to be true or false"],
    ["KAFSCALE_AUTO_CREATE_PARTITIONS", "1001", "it has to be a whole number from 1 to 1000"],
    ["KAFSCALE_RECONCILE_AGE_SECONDS", "0", "it has to be a whole number from 1 to 86400"],
    ["KAFSCALE_LOG_LEVEL", "loud", "it has to be one of debug, info, warn, error"],
  ])("refuses %s=%s by name", (variable, text, reason) => {
    expect(refusal({ [variable]: text })).toBe(`SettingsError: ${variable} is "${text}": ${reason}`);
  });

  it("names the flag when the refused value came from one", () => {
    expect(refusal({}, { autoCreatePartitions: "many" })).toMatch(
      /^SettingsError: --auto-create-partitions is "many": /,
    );
  });

  it("refuses half-set S3 and etcd settings rather than fall back to memory", () => {
    expect(refusal({ KAFSCALE_S3_BUCKET: "prod" })).toMatch(
      /^SettingsError: KAFSCALE_S3_BUCKET is set and .*REGION is not/,
    );
    expect(refusal({ KAFSCALE_ETCD_ENDPOINTS: "http://e:1" })).toMatch(
      /KAFSCALE_ETCD_ENDPOINTS is set and .*BUCKET is not/,
    );
    expect(refusal({ KAFSCALE_ETCD_ENDPOINTS: "e", KAFSCALE_USE_MEMORY_S3: "1" })).toMatch(/KAFSCALE_ETCD_ENDPOINTS/);
  });

  it("takes a bucket with etcd or with a folder, and knows all of their variables", () => {
    const s3 = { KAFSCALE_S3_BUCKET: "prod", KAFSCALE_S3_REGION: "eu-west-1", KAFSCALE_S3_NAMESPACE: "a/b" };
    const settings = readServeSettings({}, { ...s3, KAFSCALE_ETCD_ENDPOINTS: "http://e:1" });
    expect(settings).toMatchObject({
      s3: { namespace: "a/b" },
      etcd: { endpoints: ["http://e:1"] },
      unreadVariables: [],
    });
    expect(readServeSettings({ dataDir: "/d" }, s3)).toMatchObject({ dataDir: "/d", etcd: undefined });
  });

  it("names the cluster", () => {
    expect(readServeSettings({}, {}).clusterName).toBe("kafscale");
    expect(readServeSettings({}, { KAFSCALE_CLUSTER_NAME: "prod.eu-1" }).clusterName).toBe("prod.eu-1");
    for (const name of ["a/b", ".", "x".repeat(64)]) expect(refusal({ KAFSCALE_CLUSTER_NAME: name })).toContain(name);
  });

  it("skips the S3 settings when the store in memory is asked for", () => {
    expect(readServeSettings({}, { KAFSCALE_S3_BUCKET: "prod", KAFSCALE_USE_MEMORY_S3: "1" }).dataDir).toBeUndefined();
  });

  it("refuses a store in memory together with a folder", () => {
    expect(refusal({ KAFSCALE_USE_MEMORY_S3: "1" }, { dataDir: "/d" })).toMatch(
      /^SettingsError: --data-dir and KAFSCALE_USE_MEMORY_S3 are both set: /,
    );
  });

  it("refuses to acknowledge before the commit", () => {
    expect(refusal({ KAFSCALE_PRODUCE_SYNC_FLUSH: "false" })).toMatch(/no mode that acknowledges before the commit/);
  });

  it("keeps every refusal on one line", () => {
    const texts = [refusal({ KAFSCALE_S3_BUCKET: "b" }), refusal({ KAFSCALE_PRODUCE_SYNC_FLUSH: "0" })];
    expect(texts.filter((text) => text.includes("\n"))).toEqual([]);
  });
});
