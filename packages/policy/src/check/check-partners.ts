import type { Organisation } from '@countersign/model';
import { checkList } from '../document/check-shape.ts';
import { partnerShape } from '../shape/partner-shape.ts';
import { type CheckContext, createNameRegister, readSource } from './repository-source.ts';

/** Reads `partners/*.yaml`. */
export async function checkPartners(
  files: readonly string[],
  context: CheckContext,
): Promise<ReadonlyMap<string, Organisation>> {
  const names = createNameRegister('organisation', context.report);
  const organisations = new Map<string, Organisation>();
  for (const file of files) {
    const document = await readSource(file, context);
    for (const { value, path } of document
      ? checkList(document, partnerShape, context.report)
      : []) {
      if (!document || !names.take(value.name, document.at([...path, 'name']))) continue;
      const { until, ...rest } = value;
      if (until <= context.now()) {
        context.report.warn(document.at([...path, 'until']), {
          found: `a contract of '${value.name}' that is over`,
          expected: 'a day to come: its subjects are refused',
          mend: 'renew it, or remove the organisation and its identities',
        });
      }
      organisations.set(value.name, { ...rest, untilMs: until });
    }
  }
  return organisations;
}
