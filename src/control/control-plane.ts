// Both sides of the calls between brokers as one broker gets them: the way to the others, and the port for their calls.
import type { PeerLinks } from "../cluster/peers.ts";
import type { Address } from "../host/transport.ts";
import type { ControlService } from "./control-service.ts";

/** The part of a broker that a simulation replaces by calls over its own network. */
export interface ControlPlane {
  readonly peers: PeerLinks;
  /**
   * From now on `service` answers. Gives the address at which other brokers reach it, which goes into the session: it
   * accepts before the session is registered, and is closed after the broker's stop, by whoever made it.
   */
  listen(service: ControlService): Promise<Address>;
}
