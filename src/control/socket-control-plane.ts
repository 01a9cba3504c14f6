// The calls between brokers over real sockets: gRPC out by a client, and in on the port for metrics and health.
import type { Clock } from "../host/clock.ts";
import type { H2cServer } from "../host/h2c-server.ts";
import type { Address } from "../host/transport.ts";
import { ControlClient } from "./control-client.ts";
import type { ControlPlane } from "./control-plane.ts";
import { controlHandler } from "./control-routes.ts";
import type { ControlService } from "./control-service.ts";

/** Parts of a {@link SocketControlPlane}. */
export interface SocketControlParts {
  readonly clock: Clock;
  /** Stands behind an open port; who opened it closes both. */
  readonly h2c: H2cServer;
  /** That port, by the host under which other brokers reach it. */
  readonly address: Address;
}

/** The real side. */
export class SocketControlPlane implements ControlPlane {
  readonly peers: ControlClient;
  readonly #parts: SocketControlParts;

  constructor(parts: SocketControlParts) {
    this.peers = new ControlClient(parts.clock);
    this.#parts = parts;
  }

  listen(service: ControlService): Promise<Address> {
    this.#parts.h2c.serve(controlHandler(service));
    return Promise.resolve(this.#parts.address);
  }
}
