// The seam of the network: byte streams that connect, deliver chunks and take writes with back-pressure.

/** Where a listener or a peer is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One open byte stream. */
export interface Connection {
  /** The peer, for logs and per-address limits. */
  readonly remote: Address;
  /**
   * Chunks in order, none empty. Ends when the peer ended its side; throws when the connection broke. The next chunk is
   * not read from the network before it is asked for, which is how back-pressure reaches the peer. A chunk is valid
   * until the following one is asked for: who keeps its bytes copies them.
   */
  chunks(): AsyncIterableIterator<Uint8Array>;
  /**
   * Sends the parts in order with as few system calls as possible. Resolves when the transport has taken them all, and
   * no earlier than its buffer has room again; rejects when the connection broke. The parts may be reused afterwards.
   */
  write(parts: readonly Uint8Array[]): Promise<void>;
  /** Ends our side once what was written is sent: the peer reads the end after it. The peer may go on sending. */
  end(): void;
  /** Breaks the connection at once; `chunks` ends and `write` rejects. Repeating it does nothing. */
  destroy(): void;
}

/** An open listening socket. */
export interface Listener {
  /** The bound address; the port is the real one when 0 was asked for. */
  readonly address: Address;
  /** Stops accepting. Connections that exist live on. */
  close(): Promise<void>;
}

/** The real side is `tcp-transport.ts`; simulations pass one with delays and cuts, never a reordering within a stream. */
export interface Transport {
  /** @throws Error naming the address when it cannot be bound */
  listen(address: Address, accept: (connection: Connection) => void): Promise<Listener>;
  connect(address: Address, options: { signal: AbortSignal }): Promise<Connection>;
}
