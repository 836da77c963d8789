echo 5 > /proc/self/autogroup; export OMP_NUM_THREADS=1 PYTHONPATH=$PWD/src:$PWD; exec "$@"
