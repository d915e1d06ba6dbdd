/** Whether entities of a type are actions: its last name is `Action`. */
export function isActionType(name: string): boolean {
  return name === 'Action' || name.endsWith('::Action');
}
