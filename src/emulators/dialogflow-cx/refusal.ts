/** The HTTP status that goes with each gRPC status. */
const httpStatuses = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  UNKNOWN: 500,
  INTERNAL: 500,
  DATA_LOSS: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
} as const;

/** A gRPC status by its name, as `"RESOURCE_EXHAUSTED"`. */
export type GrpcStatus = keyof typeof httpStatuses;

export function isGrpcStatus(name: unknown): name is GrpcStatus {
  return typeof name === "string" && Object.hasOwn(httpStatuses, name);
}

/** An error as the service tells it: gRPC's status, over REST with an HTTP status beside it. */
export class Refusal extends Error {
  readonly status: GrpcStatus;
  readonly details: readonly object[];

  constructor(status: GrpcStatus, message: string, details: readonly object[] = []) {
    super(message);
    this.status = status;
    this.details = details;
  }

  get httpStatus(): number {
    return httpStatuses[this.status];
  }

  get body(): object {
    const details = this.details.length === 0 ? {} : { details: this.details };
    return { error: { code: this.httpStatus, message: this.message, status: this.status, ...details } };
  }
}
