{
  # A thin adapter, so that prebuildify works: the build itself is CMakeLists.txt.
  'targets': [
    {
      'target_name': 'hadal',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': [],
          'outputs': ['<(PRODUCT_DIR)/hadal.node'],
          'action': ['node', 'scripts/build-native.mjs', '--glibc', '2.28', '--out', '<(PRODUCT_DIR)',
            '--platform', '<!(node -p "process.env.PREBUILD_PLATFORM ?? process.platform")', '--arch', '<(target_arch)'],
        },
      ],
    },
  ],
}
