// The control service as gRPC. Thin: decodes, asks the service, and says in gRPC's codes what came of it. Refuses messages
// past 64 KiB and compressed ones; knows no socket.
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { PeerService, type WaitForImageRequest } from "../../generated/proto/control/broker_pb.ts";
import { DeadlineError } from "../host/clock.ts";
import type { Http2Handler } from "../host/h2c-server.ts";
import { type ControlService, type ImageWait, WrongProcessError } from "./control-service.ts";

/** Every message is far below. */
const MESSAGE_BYTES_MAX = 64 * 1024;

/** Answers HTTP/2 requests with what `service` says. */
export function controlHandler(service: ControlService): Http2Handler {
  return connectNodeAdapter({
    grpc: true,
    grpcWeb: false,
    connect: false,
    readMaxBytes: MESSAGE_BYTES_MAX,
    writeMaxBytes: MESSAGE_BYTES_MAX,
    acceptCompression: [],
    routes: (router) => addRoutes(router, service),
  });
}

function addRoutes(router: ConnectRouter, service: ControlService): void {
  router.service(PeerService, {
    probe: () => ({ process: new Uint8Array(Buffer.from(service.probe().process, "hex")) }),
    waitForImage: async (request, { signal }) => {
      try {
        await service.waitForImage(imageWait(request), { signal });
      } catch (error) {
        throw grpcError(error);
      }
      return {};
    },
    probeStore: async ({ process }) => {
      try {
        return { isAnswering: await service.probeStore({ process: Buffer.from(process).toString("hex") }) };
      } catch (error) {
        throw grpcError(error);
      }
    },
  });
}

function imageWait({ process, at }: WaitForImageRequest): ImageWait {
  if (at.case === undefined) throw new ConnectError("no collection is named", Code.InvalidArgument);
  const revision = Number(at.value);
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new ConnectError(`${at.value} is no revision`, Code.InvalidArgument);
  }
  return { process: Buffer.from(process).toString("hex"), collection: at.case, revision };
}

function grpcError(error: unknown): unknown {
  if (error instanceof WrongProcessError) return new ConnectError(error.message, Code.FailedPrecondition);
  if (error instanceof DeadlineError) return new ConnectError(error.message, Code.DeadlineExceeded);
  return error;
}
