// TCP under the contract of transports.
import { TcpTransport } from "../../src/host/tcp-transport.ts";
import { describeTransport } from "./transport-contract.ts";

describeTransport("TCP", async () => ({
  transport: new TcpTransport(),
  address: { host: "127.0.0.1", port: 0 },
  drive: (promise) => promise,
  bytesInFlightMax: 20_000_000,
}));
