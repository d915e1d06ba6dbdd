import type { Surface } from '@countersign/model';

/** Whether a resource type is one whose ids name persons, by the surfaces in force. */
export function personalTypes(
  inForce: () => { readonly surfaces: readonly Pick<Surface, 'persons'>[] } | undefined,
): (type: string) => boolean {
  let of: { readonly surfaces: readonly Pick<Surface, 'persons'>[] } | undefined;
  let types: ReadonlySet<string> = new Set();
  return (type) => {
    const current = inForce();
    if (current !== of) {
      of = current;
      types = new Set(current?.surfaces.flatMap(({ persons }) => persons));
    }
    return types.has(type);
  };
}

/** What persons are called by in the record beside `human` and `customer`: the last parts of those types. */
export function personalKinds({ surfaces }: { readonly surfaces: readonly Surface[] }): string[] {
  const types = surfaces.flatMap(({ persons }) => persons);
  return [...new Set(types.map((type) => type.slice(type.lastIndexOf(':') + 1)))];
}
