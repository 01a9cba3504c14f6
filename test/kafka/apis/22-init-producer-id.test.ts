// InitProducerId as producers see it, at every version.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../../generated/kafka/error-codes.ts";
import { createInitProducerIdRequest } from "../../../generated/testing/init-producer-id-request.ts";
import { apis, BrokerWorld, type TestClient, versionsOf } from "../broker-world.ts";

let world: BrokerWorld;
let client: TestClient;

beforeAll(async () => {
  world = await BrokerWorld.start();
  client = await world.connect();
});
afterAll(() => world.stop());

function ask(version: number, transactionalId: string | null, transactionTimeoutMs = 60_000) {
  const request = createInitProducerIdRequest({ transactionalId, transactionTimeoutMs });
  return client.call(apis.initProducerId, version, request);
}

describe("InitProducerId", () => {
  it.each(versionsOf(22))("version %i gives an id that nobody had, with epoch 0", async (version) => {
    const first = await ask(version, null);
    const second = await ask(version, null);
    expect([first.errorCode, first.producerEpoch, second.errorCode]).toEqual([0, 0, 0]);
    expect(second.producerId).toBeGreaterThan(first.producerId);
  });

  it.each(versionsOf(22))("version %i refuses transactional ids for good", async (version) => {
    expect((await ask(version, "")).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    for (const timeoutMs of [0, -1, 900_001]) {
      expect((await ask(version, "tx", timeoutMs)).errorCode).toBe(ErrorCode.INVALID_TRANSACTION_TIMEOUT);
    }
    for (const timeoutMs of [1, 900_000]) {
      const refused = await ask(version, "tx", timeoutMs);
      const code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
      expect(refused).toMatchObject({ errorCode: code, producerId: -1, producerEpoch: -1 });
    }
  });

  it("gives different ids to a thousand producers at once", async () => {
    const request = createInitProducerIdRequest({ transactionalId: null, transactionTimeoutMs: 60_000 });
    const sends = Array.from({ length: 1_100 }, () => client.send(apis.initProducerId, 4, request));
    const answers = await world.clock.complete(Promise.all(sends));
    expect(new Set(answers.map(({ producerId }) => producerId)).size).toBe(1_100);
  });
});
