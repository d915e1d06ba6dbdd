import type { EntityUid } from '@countersign/model';
import { checkList } from '../document/check-shape.ts';
import type { Repository } from '../repository.ts';
import { entityShape } from '../shape/entity-shape.ts';
import {
  type CheckContext,
  createNameRegister,
  type Located,
  readSource,
} from './repository-source.ts';

type Entity = Repository['entities'][number];

/** Reads `entities/*.yaml`; each entity with where it stands. */
export async function checkEntities(
  files: readonly string[],
  context: CheckContext,
): Promise<readonly Located<Entity>[]> {
  const names = createNameRegister('entity', context.report);
  const entities: Located<Entity>[] = [];
  for (const file of files) {
    const document = await readSource(file, context);
    if (!document) continue;
    for (const { value, path } of checkList(document, entityShape, context.report)) {
      if (names.take(entityName(value.uid), document.at([...path, 'uid']))) {
        entities.push({ value, document, path });
      }
    }
  }
  return entities;
}

/** `Accounts::Account::"22289"`, as Cedar writes it. */
export function entityName({ type, id }: EntityUid): string {
  return `${type}::${JSON.stringify(id)}`;
}
