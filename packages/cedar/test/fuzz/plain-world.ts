import type { CedarEntity, CedarJson, CedarUid, TemplateLink } from '@countersign/cedar';
import { policyText } from './generate/make-policies.ts';
import { namesOf } from './generate/make-requests.ts';
import type { World } from './generate/make-world.ts';

/** A world as our engine takes it: texts and JSON, nothing that could be cut down. */
export interface PlainWorld {
  /** The schema's JSON, all names in full. */
  readonly schema: unknown;
  readonly policies: readonly PlainPolicy[];
  readonly links: readonly TemplateLink[];
  readonly entities: readonly CedarEntity[];
  readonly requests: readonly PlainRequest[];
}

export interface PlainPolicy {
  readonly id: string;
  readonly text: string;
  readonly isTemplate: boolean;
}

export interface PlainRequest {
  readonly principal: CedarUid;
  readonly action: CedarUid;
  readonly resource: CedarUid;
  readonly context: { readonly [name: string]: CedarJson };
  readonly validateRequest: boolean;
  /** What is unknown at first when it is answered in steps; other bits, other parts. */
  readonly hides: number;
}

export function toPlain(world: World, schema: unknown): PlainWorld {
  return {
    schema,
    policies: world.policies.map((parts) => ({
      id: parts.id,
      text: policyText(parts),
      isTemplate: parts.isTemplate,
    })),
    links: world.links,
    // Data may be spoilt on purpose, so that types do not hold.
    entities: world.entities as unknown as readonly CedarEntity[],
    requests: world.requests.map(
      (request) =>
        ({
          ...namesOf(request),
          context: request.context,
          validateRequest: request.validateRequest,
          hides: request.hides,
        }) as unknown as PlainRequest,
    ),
  };
}
