/** RFC 7644 §3.12, table 9. */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'
  | 'invalidVers'
  | 'sensitive';

const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error';

/**
 * A SCIM request that cannot be answered as it stands. It never leaves this folder: the router writes it as the
 * error document of RFC 7644 §3.12.
 */
export class ScimFault extends Error {
  readonly status: number;
  readonly scimType: ScimType | undefined;

  constructor(status: number, detail: string, scimType?: ScimType) {
    super(detail);
    this.name = 'ScimFault';
    this.status = status;
    this.scimType = scimType;
  }
}

/** A fault in what the client sent. */
export function badRequest(scimType: ScimType, detail: string): ScimFault {
  return new ScimFault(400, detail, scimType);
}

/** The document of RFC 7644 §3.12; `status` is text there. */
export function errorDocument({
  status,
  detail,
  scimType,
}: {
  readonly status: number;
  readonly detail: string;
  readonly scimType?: ScimType | undefined;
}): object {
  return {
    schemas: [ERROR_SCHEMA],
    status: String(status),
    ...(scimType && { scimType }),
    detail,
  };
}

/** What a client wrote, short enough to be quoted back. */
export function quoted(text: string): string {
  const clean = text.replace(/\p{C}/gu, '?');
  return `'${clean.length > 80 ? `${clean.slice(0, 80)}…` : clean}'`;
}
