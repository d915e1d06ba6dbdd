import type { CedarRecord } from './cedar-record.ts';
import type { CedarSet } from './cedar-set.ts';
import type { EntityUid } from './entity-uid.ts';
import type { Datetime, Decimal, Duration, IpAddress } from './extension.ts';
import type { Long } from './long.ts';

/** A value of the Cedar language. Immutable. */
export type Value =
  | boolean
  | string
  | Long
  | EntityUid
  | CedarSet
  | CedarRecord
  | Decimal
  | Datetime
  | Duration
  | IpAddress;

/** The values that are objects; their `kind` tells which. */
export type ObjectValue = Exclude<Value, boolean | string | Long>;
