/** `shadow` records what would have happened and changes nothing; `enforce` acts on it. */
export const SURFACE_MODES = ['shadow', 'enforce'] as const;
/** One of {@link SURFACE_MODES}. */
export type SurfaceMode = (typeof SURFACE_MODES)[number];

/** How much the bank depends on a surface. */
export const CRITICALITIES = ['low', 'medium', 'high', 'critical'] as const;
/** One of {@link CRITICALITIES}. */
export type Criticality = (typeof CRITICALITIES)[number];

/** How well an event binds its actor: asserted, sender-constrained, signed, user-verified. */
export const EVIDENCE_LEVELS = ['E0', 'E1', 'E2', 'E3'] as const;
/** One of {@link EVIDENCE_LEVELS}. */
export type EvidenceLevel = (typeof EVIDENCE_LEVELS)[number];

/** Where the protected resource itself listens. */
export type Upstream =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'http'; readonly host: string; readonly port: number };

/** One path parameter of an operation, in the order of the path. */
export interface OperationParameter {
  readonly name: string;
  /** The entity type that the parameter names, such as `Account` for `AccountId`. */
  readonly entityType: string;
}

/** One operation of a surface's API description: what a policy calls an action. */
export interface Operation {
  /** The operationId, unique in the surface; the Cedar action is `<Namespace>::Action::"<id>"`. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** The template as in the description, such as `/accounts/{AccountId}/balances`. */
  readonly path: string;
  readonly parameters: readonly OperationParameter[];
  /** Scopes that the description's security requirement asks for; all of them are needed. */
  readonly scopes: readonly string[];
  /** True when the operation may change state: every method but GET, HEAD, OPTIONS and TRACE. */
  readonly isStateChanging: boolean;
}

/** A protect surface: one thing worth defending, as its YAML file and API description say. */
export interface Surface {
  /** Lower-case kebab, unique in the repository. */
  readonly name: string;
  /** Pascal-case of the name: the Cedar namespace of its actions and resources. */
  readonly namespace: string;
  readonly title: string;
  readonly owner: string;
  readonly criticality: Criticality;
  readonly regulations: readonly string[];
  readonly dataClasses: readonly string[];
  /** Resource types whose ids name persons, such as `Accounts::Account`: pseudonyms stand for them in the record. */
  readonly persons: readonly string[];
  readonly mode: SurfaceMode;
  readonly upstream: Upstream;
  /** The audience that an access token for this surface must name. */
  readonly audience: string;
  /** How old the last signed facts may be before an enforcing point refuses; seconds, 1 to 86400. */
  readonly factsMaxAgeSeconds: number;
  readonly evidenceLevel: EvidenceLevel;
  /** The class of retention of its events; absent: by what each of them is. */
  readonly retention?: string;
  /** Header names, beside the built-in list, that callers must not be able to set. */
  readonly identityHeaders: readonly string[];
  readonly operations: readonly Operation[];
}
