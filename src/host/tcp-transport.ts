// The real network: TCP by node:net. Accepted sockets are re-made around their handle, because `onread` can only be
// given to a socket's constructor.
import { connect, createServer, type Server, Socket, type SocketConstructorOpts } from "node:net";
import { invariant } from "../invariant.ts";
import { TcpConnection } from "./tcp-connection.ts";
import type { Address, Connection, Listener, Transport } from "./transport.ts";

/** Connections that the kernel may hold before they are accepted. */
const BACKLOG = 1024;

/** The handle below a socket: Node's own type, not ours to look into. */
interface HandleHolder {
  _handle: unknown;
}

/** TCP on this machine. */
export class TcpTransport implements Transport {
  async listen(address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.on("connection", (socket) => {
      const connection = adopt(socket);
      if (connection) accept(connection);
    });
    await bind(server, address);
    const bound = server.address();
    invariant(bound !== null && typeof bound === "object", "a bound TCP server has an address");
    return {
      address: { host: address.host, port: bound.port },
      close: () => {
        // The callback would wait for the last connection; the listening socket itself is closed in this turn.
        server.close();
        return Promise.resolve();
      },
    };
  }

  async connect(address: Address, { signal }: { signal: AbortSignal }): Promise<Connection> {
    signal.throwIfAborted();
    let socket: Socket | undefined;
    const connection = new TcpConnection((options) => {
      socket = connect({ ...options, ...address });
      return socket;
    }, address);
    invariant(socket, "a connection makes its socket");
    await established(socket, address, signal);
    return connection;
  }
}

function bind(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error })),
    );
    server.listen({ host, port, backlog: BACKLOG }, () => {
      // From here on an error is a connection that could not be accepted, and it is gone already.
      server.on("error", () => {});
      resolve();
    });
  });
}

function adopt(accepted: Socket): Connection | undefined {
  const remote = { host: accepted.remoteAddress ?? "", port: accepted.remotePort ?? 0 };
  const holder = accepted as unknown as HandleHolder;
  const handle = holder["_handle"];
  if (!handle) return undefined;
  holder["_handle"] = null;
  accepted.destroy();
  return new TcpConnection(
    (options) => new Socket({ ...options, handle, pauseOnCreate: true } as SocketConstructorOpts),
    remote,
  );
}

function established(socket: Socket, { host, port }: Address, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      outcome();
    };
    const onError = (error: Error) =>
      settle(() => reject(new Error(`cannot connect to ${host}:${port}: ${error.message}`, { cause: error })));
    const onAbort = () =>
      settle(() => {
        socket.destroy();
        reject(signal.reason);
      });
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", onError);
    socket.once("connect", () => settle(resolve));
  });
}
