// placeholder, see helper
export interface ConfigSource {
  readonly text: string;
}
