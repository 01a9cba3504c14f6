// What the port beside Kafka's answers of every process of this project: `/metrics`, `/healthz`, `/readyz`.
import { type HttpAnswer, type HttpRoutes, plainAnswer } from "./http-port.ts";
import type { PrometheusMetrics } from "./prometheus-metrics.ts";

/** Why a process is not ready, or nothing when it is. */
export type ReadyCheck = () => string | undefined;

/** The routes. A live process answers `/healthz` with 200 always; `/readyz` gives 503 with the reason it is not ready. */
export function healthRoutes(metrics: PrometheusMetrics, reasonNotReady: ReadyCheck): HttpRoutes {
  return {
    "/metrics": async (): Promise<HttpAnswer> => ({
      status: 200,
      contentType: metrics.contentType,
      body: await metrics.exposition(),
    }),
    "/healthz": () => plainAnswer(200, "ok"),
    "/readyz": () => {
      const reason = reasonNotReady();
      return reason === undefined ? plainAnswer(200, "ready") : plainAnswer(503, reason);
    },
  };
}
