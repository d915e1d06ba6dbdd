/** The closed list of what the audit room cannot do. */
export type AuditErrorCode =
  | 'ERR_AUDIT_PUSH_MALFORMED'
  | 'ERR_AUDIT_POINT_UNKNOWN'
  | 'ERR_AUDIT_CLOSED'
  | 'ERR_AUDIT_POST_TIMEOUT'
  | 'ERR_AUDIT_CURSOR_INVALID'
  | 'ERR_AUDIT_SINK_INVALID'
  | 'ERR_AUDIT_INDEX_FAILED'
  | 'ERR_AUDIT_SHARD_UNSOUND'
  | 'ERR_AUDIT_QUESTION'
  | 'ERR_AUDIT_CURSOR'
  | 'ERR_AUDIT_RECORD_KEYS';

/** Something that could not be collected or pushed; `code` is stable, the message is for people. */
export class AuditError extends Error {
  readonly code: AuditErrorCode;

  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AuditError';
    this.code = code;
  }
}
