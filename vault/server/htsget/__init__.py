"""htsget 1.3 (GA4GH): tickets and blocks for standard clients."""
